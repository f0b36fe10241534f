// Every op of winnow, one line each; each function is defined in the file of its name.
#include "core/op.h"

namespace winnow::ops {
void define_add();
void define_at_least();
void define_basis_combine();
void define_batch_norm();
void define_cast();
void define_channel_routing();
void define_compander();
void define_conv2d();
void define_dropout();
void define_fill();
void define_flatten();
void define_linear();
void define_mul();
void define_optimizer_steps();
void define_pool();
void define_relu();
void define_reduce_sum();
void define_score_mask();
void define_shortcut_pad();
void define_sigmoid();
void define_softmax_cross_entropy();
void define_wavelet_dropout();
}  // namespace winnow::ops

namespace winnow {

void define_all_ops() {
  ops::define_add();
  ops::define_at_least();
  ops::define_basis_combine();
  ops::define_batch_norm();
  ops::define_cast();
  ops::define_channel_routing();
  ops::define_compander();
  ops::define_conv2d();
  ops::define_dropout();
  ops::define_fill();
  ops::define_flatten();
  ops::define_linear();
  ops::define_mul();
  ops::define_optimizer_steps();
  ops::define_pool();
  ops::define_relu();
  ops::define_reduce_sum();
  ops::define_score_mask();
  ops::define_shortcut_pad();
  ops::define_sigmoid();
  ops::define_softmax_cross_entropy();
  ops::define_wavelet_dropout();
}

}  // namespace winnow
