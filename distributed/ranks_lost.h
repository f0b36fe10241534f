// Other ranks of the job are gone, stopped, or cannot be reached. Whoever meets it leaves the process at once, without another word to any rank; the next run goes on from what is saved.
#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"
#include "distributed/communicator.h"

namespace winnow {

class RanksLost : public Error {
 public:
  // Ended: the process of one of the group has. Late: one did not come within the time limit, and nobody knows why.
  enum class Why { Ended, Late, Other };
  explicit RanksLost(const std::string& text, Why why = Why::Other) : Error(ErrorKind::Unavailable, text), why_(why) {}
  Why why() const noexcept { return why_; }

 private:
  Why why_;
};

// Whom rank `own` of `size` waits for in vain: "rank 3 did not come to it".
std::string who_is_absent(Attendance& attendance, int own, int size, std::int64_t place);

// Seconds that a rank may be late for what a trial's ranks do together: $WINNOW_RANK_TIMEOUT, or 600.
double rank_time_limit();
// So many times as long where ranks have no trial together: one may read many files, or evaluate.
inline constexpr double kPatienceOfJob = 6;

}  // namespace winnow
