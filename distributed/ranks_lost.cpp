#include "distributed/ranks_lost.h"

#include <fmt/ranges.h>

#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace winnow {

std::string who_is_absent(Attendance& attendance, int own, int size, std::int64_t place) {
  std::vector<int> ranks;
  for (int rank = 0; rank < size; ++rank) {
    if (rank != own && attendance.heard(rank) < place) ranks.push_back(rank);
  }
  if (ranks.empty()) return "every rank says that it waits for it";
  return fmt::format("rank{} {} did not come to it", ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", "));
}

double rank_time_limit() {
  constexpr double kDefault = 600;
  const char* given = std::getenv("WINNOW_RANK_TIMEOUT");
  if (given == nullptr || *given == '\0') return kDefault;
  const std::string_view text(given);
  double seconds = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !(seconds > 0)) {
    fail(ErrorKind::Usage, "WINNOW_RANK_TIMEOUT is '{}': allowed is a number of seconds above 0", text);
  }
  return seconds;
}

}  // namespace winnow
