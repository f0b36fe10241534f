// One function for each method, in the file of its name; registry.cpp lists them. Callers use registry.h.
#pragma once

#include "experiments/methods/registry.h"

namespace winnow {

MethodDef dense();
MethodDef random_pruning();
MethodDef magnitude();
MethodDef snip();
MethodDef synflow();
MethodDef freezenet();
MethodDef set();
MethodDef rigl();
MethodDef gmp();
MethodDef imp();
MethodDef edge_popup();
MethodDef interspace();
MethodDef compander();
MethodDef wavelet_dropout();
MethodDef mixture_of_depths();

}  // namespace winnow
