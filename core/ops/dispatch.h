// Picks the element type of a kernel at run time; shared by the op files.
#pragma once

#include <string>

#include "core/error.h"
#include "core/op.h"

namespace winnow::ops {

inline bool is_float(DType type) { return type == DType::F32 || type == DType::BF16; }

// NHWC activations.
inline bool is_image(const ValueInfo& info) { return info.shape.rank() == 4 && is_float(info.dtype); }

// body.operator()<T>() with T = float or bf16.
template <class Body>
void with_float_type(DType type, const Body& body) {
  if (type == DType::BF16) {
    body.template operator()<bf16>();
  } else if (type == DType::F32) {
    body.template operator()<float>();
  } else {
    fail(ErrorKind::Internal, "a kernel for f32 and bf16 was called with {}", name_of(type));
  }
}

// Shape rule of ops whose output is like input 0, with `arity` inputs that all agree.
inline std::vector<ValueInfo> same_as_inputs(std::span<const ValueInfo> in, std::size_t arity) {
  require(in.size() == arity, fmt::format("takes {} inputs, not {}", arity, in.size()));
  require(is_float(in[0].dtype), "the type must be f32 or bf16");
  for (const ValueInfo& info : in) {
    require(info.shape == in[0].shape && info.dtype == in[0].dtype, "all inputs must have the same shape and type");
  }
  return {{in[0].shape, in[0].dtype}};
}

}  // namespace winnow::ops
