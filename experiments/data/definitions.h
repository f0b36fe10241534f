// One function for each data set, in the file of its name; registry.cpp lists them. Callers use registry.h.
#pragma once

#include "experiments/data/registry.h"

namespace winnow {

DatasetDef fashion_mnist();
DatasetDef mnist();
DatasetDef cifar10();
DatasetDef cifar100();
DatasetDef synthetic();

}  // namespace winnow
