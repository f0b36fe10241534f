// How many trials a GPU trains at once where nobody says: twice as many as long as that makes the whole of them faster. Knows
// no clock; a plain value.
#pragma once

#include <algorithm>

namespace winnow {

class TrialCount {
 public:
  explicit TrialCount(int most) : most_(most) {}

  int count() const { return count_; }
  bool settled() const { return settled_; }  // it stays so

  // `rate`: what count() trials got done in a unit of time, together. `room`: for how many more there is memory.
  void measured(double rate, int room) {
    if (settled_) return;
    const int more = std::min({count_, most_ - count_, room});
    settled_ = more <= 0 || rate < kGain * best_;
    if (settled_) return;
    best_ = rate;
    count_ += more;
  }

 private:
  // Of less than that there is no telling, and each trial more takes longer to end.
  static constexpr double kGain = 1.05;
  int most_, count_ = 1;
  double best_ = 0;
  bool settled_ = false;
};

}  // namespace winnow
