// Defines the ops that ops.def lists.
#include "core/op.h"

namespace winnow::ops {
#define OP(name) void define_##name();
#include "core/ops/ops.def"
#undef OP
}  // namespace winnow::ops

namespace winnow {

void define_all_ops() {
#define OP(name) ops::define_##name();
#include "core/ops/ops.def"
#undef OP
}

}  // namespace winnow
