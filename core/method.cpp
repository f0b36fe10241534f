#include "core/method.h"

namespace winnow {

const char* name_of(When when) {
  switch (when) {
    case When::Begin:
      return "Begin";
    case When::AfterBackward:
      return "AfterBackward";
    case When::AfterStep:
      return "AfterStep";
    case When::EpochEnd:
      return "EpochEnd";
    default:
      return "PhaseEnd";
  }
}

}  // namespace winnow
