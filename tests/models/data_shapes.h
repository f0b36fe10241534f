// Images of the data sets that models are described for.
#pragma once

#include "experiments/models/registry.h"

namespace winnow {

inline constexpr DataShape kMnist{28, 28, 1, 10}, kCifar10{32, 32, 3, 10}, kCifar100{32, 32, 3, 100},
    kTiny{64, 64, 3, 200}, kImageNet{224, 224, 3, 1000};

}  // namespace winnow
