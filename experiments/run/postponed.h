// What became of each trial of a round, as the groups of a run note it. A plain value.
#pragma once

#include <cstdint>

namespace winnow {

// The greater counts where groups say different things. Waiting: what it needs was not done; Taken: a group dealt with it;
// InWorkElsewhere: another run had it in work when its turn came; Suspect: its process ended, and it may be the
// reason or one of several in hand; Ended: it has a result or a record of a failure by this run, or a result of another one.
enum class Postponed : std::uint8_t { Untouched, Waiting, Taken, InWorkElsewhere, Suspect, Ended };

void note(Postponed& place, Postponed what);  // by any number of processes at once
void take_up(Postponed& place);               // Taken, though it had ended: by the only one that has it now
Postponed seen(Postponed& place);             // while others note

}  // namespace winnow
