// Ops in double precision (OpDef::in_double). Pure functions; each is what core/ops says of it. Every sum has one fixed
// order, whatever the thread count.
#pragma once

#include "core/op.h"

namespace winnow::in_double {

// double_ops.cpp
void copy(const DoubleCall& call);
void add(const DoubleCall& call);
void mul(const DoubleCall& call);
void scale_by(const DoubleCall& call);
void fill(const DoubleCall& call);
void broadcast(const DoubleCall& call);
void reduce_sum(const DoubleCall& call);
void relu(const DoubleCall& call);
void relu_backward(const DoubleCall& call);
void sigmoid(const DoubleCall& call);
void exponential(const DoubleCall& call);
void sigmoid_backward(const DoubleCall& call);
void basis_combine(const DoubleCall& call);
void basis_gradient(const DoubleCall& call);
void soft_threshold(const DoubleCall& call);
void soft_threshold_backward(const DoubleCall& call);
void soft_threshold_backward_threshold(const DoubleCall& call);
void compander(const DoubleCall& call);
void compander_backward(const DoubleCall& call);
void compander_backward_coefficients(const DoubleCall& call);

// double_layers.cpp
void conv2d(const DoubleCall& call);
void conv2d_backward_data(const DoubleCall& call);
void conv2d_backward_weights(const DoubleCall& call);
void linear(const DoubleCall& call);
void linear_backward_data(const DoubleCall& call);
void linear_backward_weights(const DoubleCall& call);

// double_images.cpp
void flatten(const DoubleCall& call);
void unflatten(const DoubleCall& call);
void batch_norm(const DoubleCall& call);  // statistics of the batch, or the running ones, which it leaves as they are
void batch_norm_backward(const DoubleCall& call);
void max_pool(const DoubleCall& call);
void max_pool_backward(const DoubleCall& call);
void avg_pool(const DoubleCall& call);
void avg_pool_backward(const DoubleCall& call);
void shortcut_pad(const DoubleCall& call);
void shortcut_pad_backward(const DoubleCall& call);
void top_channels(const DoubleCall& call);
void gather_channels(const DoubleCall& call);
void scatter_channels(const DoubleCall& call);
void fuse_channels(const DoubleCall& call);
void fuse_channels_backward_block(const DoubleCall& call);
void fuse_channels_backward_scores(const DoubleCall& call);

// double_tokens.cpp
void concat(const DoubleCall& call);
void split(const DoubleCall& call);
void permute(const DoubleCall& call);
void add_broadcast(const DoubleCall& call);
void sum_leading(const DoubleCall& call);
void gelu(const DoubleCall& call);
void gelu_backward(const DoubleCall& call);
void softmax(const DoubleCall& call);
void softmax_backward(const DoubleCall& call);
void layer_norm(const DoubleCall& call);
void layer_norm_backward(const DoubleCall& call);
void matmul(const DoubleCall& call);
void softmax_cross_entropy(const DoubleCall& call);

}  // namespace winnow::in_double
