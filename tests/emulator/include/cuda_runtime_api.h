// Stands in for the toolkit's header of this name.
#pragma once

#include "tests/emulator/include/cuda_runtime.h"
