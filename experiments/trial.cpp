#include "experiments/trial.h"

namespace winnow {

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::Done:
      return "done";
    case Outcome::Diverged:
      return "diverged";
    case Outcome::Failed:
      return "failed";
    case Outcome::Cancelled:
      return "cancelled";
  }
  return "unknown";
}

}  // namespace winnow
