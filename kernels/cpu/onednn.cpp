#include "kernels/cpu/onednn.h"

#include <utility>

#include "kernels/cpu/layout.h"
#include "kernels/cpu/onednn_impl.h"

namespace winnow::cpu {

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

LayerPlan::~LayerPlan() = default;
LayerPlan::LayerPlan(LayerPlan&&) noexcept = default;
LayerPlan& LayerPlan::operator=(LayerPlan&&) noexcept = default;

std::size_t LayerPlan::scratch_bytes() const { return impl_->scratch; }
const char* LayerPlan::implementation() const { return impl_->implementation.c_str(); }

void LayerPlan::run(const LayerBuffers& buffers, std::byte* scratch) {
  Impl& impl = *impl_;
  const ThreadScope scope(impl.threads);
  if (impl.taps) {
    impl.taps->run(buffers.x, buffers.y, static_cast<float*>(buffers.weights), scratch);
    return;
  }
  void* data[] = {buffers.x, buffers.weights, buffers.bias, buffers.y};
  if (impl.turned) {
    auto* planes = reinterpret_cast<float*>(scratch + impl.turned->offset);
    turn_weights(impl.turned->rows, impl.turned->cols, impl.turned->taps,
                 static_cast<const float*>(buffers.weights), planes, impl.threads);
    data[1] = planes;
    std::swap(data[0], data[3]);
  }
  for (std::size_t i = 0; i < impl.operands.size(); ++i) {
    Operand& o = impl.operands[i];
    if (o.argument == 0) continue;
    o.user.set_data_handle(data[i]);
    if (!o.packed) continue;
    o.inner.set_data_handle(scratch + o.offset);
    if (!o.written) o.reorder.execute(impl.stream, o.user, o.inner);
  }
  impl.scratchpad.set_data_handle(scratch + impl.scratchpad_offset);
  impl.primitive.execute(impl.stream, impl.arguments);
  for (Operand& o : impl.operands) {
    if (o.packed && o.written) o.reorder.execute(impl.stream, o.inner, o.user);
  }
  impl.stream.wait();
}

bool processor_has_bf16() {
  const int isa = static_cast<int>(dnnl::get_effective_cpu_isa());
  const int bf16 = static_cast<int>(dnnl::cpu_isa::avx512_core_bf16);
  return (isa & bf16) == bf16;
}

const char* onednn_version() {
  static const std::string text = std::to_string(dnnl_version()->major) + "." +
                                  std::to_string(dnnl_version()->minor) + "." +
                                  std::to_string(dnnl_version()->patch);
  return text.c_str();
}

}  // namespace winnow::cpu
