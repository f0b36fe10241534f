// Names and order of calls: NVIDIA/cudnn-frontend, samples/cpp/convolution (fprop.cpp, dgrads.cpp, wgrads.cpp). What graphs
// with sums may look like: cuDNN, "Generic Runtime Fusion Engines", "Support Surface 70", and "GenStats" behind it.
#include "kernels/cuda/vendor/convolution_plan.h"

#include <cudnn_frontend.h>

#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/cuda/vendor/errors.h"
#include "kernels/cuda/vendor/handle_pool.h"
#include "kernels/cuda/vendor/handles.h"
#include "kernels/cuda/vendor/settings.h"

namespace winnow::cuda::vendor {
namespace {

namespace fe = cudnn_frontend;
using Tensor = fe::graph::Tensor_attributes;
using Numbers = std::vector<std::int64_t>;

enum Operand : std::int64_t { kX = 1, kW, kY, kSums, kSumsOfSquares };

fe::DataType_t cudnn_type(DType type) { return type == DType::BF16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::FLOAT; }

// cuDNN's order of axes is n, c, h, w whatever the layout; strides say that channels are neighbours (cuDNN, "Tensors and
// Layouts").
Numbers strides_of(const Numbers& dims) { return {dims[1] * dims[2] * dims[3], 1, dims[1] * dims[3], dims[1]}; }

void place(Tensor& tensor, Operand uid, const Numbers& dims, DType type) {
  tensor.set_uid(uid).set_dim(dims).set_stride(strides_of(dims)).set_data_type(cudnn_type(type));
}

template <class Attributes>
Attributes geometry(const ConvShape& s) {
  Attributes attributes;
  attributes.set_padding({s.pad, s.pad}).set_stride({s.stride, s.stride}).set_dilation({1, 1});
  return attributes;
}

}  // namespace

struct ConvolutionPlan::Graph {
  Graph(const ConvShape& shape, Direction direction, DType type_of_weights);
  Graph(const ConvShape& shape, Direction direction, DType type_of_weights, std::span<const std::uint8_t> written);
  void check(fe::error_t error) const {
    using enum fe::error_code_t;
    const auto code = error.get_code();
    if (code == OK) return;
    // None of these is a matter of the shape.
    for (const auto fault : {CUDA_API_FAILED, INVALID_CUDA_DEVICE, HANDLE_ERROR, NVRTC_COMPILATION_FAILED}) {
      if (code == fault) fail("cuDNN", error.get_message(), layer);
    }
    throw NoPlan("cuDNN: " + error.get_message() + " (" + layer + ")");
  }
  void build(const ConvShape& shape, std::int64_t workspace_limit);
  void read_workspace();

  std::string layer;
  DType weights_type;
  std::int64_t sums = 0;  // channels that are summed
  fe::graph::Graph graph;
  std::size_t workspace = 0;
};

ConvolutionPlan::Graph::Graph(const ConvShape& s, Direction direction, DType type_of_weights)
    : layer(describe(s, direction)), weights_type(type_of_weights) {
  graph.set_io_data_type(cudnn_type(s.dtype))
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  const Numbers x{s.batch, s.in, s.height, s.width}, w{s.out, s.in / s.groups, s.kernel_h, s.kernel_w},
      y{s.batch, s.out, s.out_height(), s.out_width()};
  const auto input = [&](Operand uid, const Numbers& dims, DType type) {
    Tensor tensor;
    place(tensor, uid, dims, type);
    return graph.tensor(tensor);
  };
  // Extents of gradients are set, since several inputs of a strided convolution give outputs of one size.
  const auto output = [](const std::shared_ptr<Tensor>& tensor, Operand uid, const Numbers& dims, DType type) {
    place(*tensor, uid, dims, type);
    tensor->set_output(true);
  };
  switch (direction) {
    case Direction::Forward: {
      const auto value = graph.conv_fprop(input(kX, x, s.dtype), input(kW, w, weights_type),
                                          geometry<fe::graph::Conv_fprop_attributes>(s));
      auto stored = value;
      if (s.sums) {
        // Sums are taken of f16 or f32, so bf16 is rounded beside them.
        if (s.dtype == DType::BF16) {
          value->set_dim(y).set_stride(strides_of(y)).set_data_type(fe::DataType_t::FLOAT);
          stored = graph.pointwise(value, fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::IDENTITY));
        }
        const auto by_channel = graph.genstats(value, fe::graph::Genstats_attributes());
        sums = s.out;
        output(by_channel[0], kSums, {1, sums, 1, 1}, DType::F32);
        output(by_channel[1], kSumsOfSquares, {1, sums, 1, 1}, DType::F32);
      }
      output(stored, kY, y, s.dtype);
      break;
    }
    case Direction::BackwardData:
      output(graph.conv_dgrad(input(kY, y, s.dtype), input(kW, w, weights_type),
                              geometry<fe::graph::Conv_dgrad_attributes>(s)),
             kX, x, s.dtype);
      break;
    case Direction::BackwardWeights:
      output(
          graph.conv_wgrad(input(kY, y, s.dtype), input(kX, x, s.dtype), geometry<fe::graph::Conv_wgrad_attributes>(s)),
          kW, w, weights_type);
      break;
  }
}

void ConvolutionPlan::Graph::build(const ConvShape& s, std::int64_t workspace_limit) {
  check(graph.validate());
  check(graph.build_operation_graph(cudnn_handle()));
  check(graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}));
  // Barred one by one among the plans just created (cuDNN, cudnnBackendNumericalNote_t). The same bits in each run, sums of
  // f32, and no Winograd with tiles that lose half of the digits.
  std::vector<fe::NumericalNote_t> barred{
      fe::NumericalNote_t::NONDETERMINISTIC, fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION,
      fe::NumericalNote_t::DOWN_CONVERT_INPUTS, fe::NumericalNote_t::WINOGRAD_TILE_13x13};
  // Tensor cores multiply f32 only as TF32.
  if (s.dtype == DType::F32 && !kAllowTf32) barred.push_back(fe::NumericalNote_t::TENSOR_CORE);
  graph.deselect_numeric_notes(barred).deselect_workspace_greater_than(workspace_limit);
  check(graph.check_support());
  check(graph.build_plans(fe::BuildPlanPolicy_t::HEURISTICS_CHOICE));
  read_workspace();
}

void ConvolutionPlan::Graph::read_workspace() {
  std::int64_t bytes = 0;
  check(graph.get_workspace_size(bytes));
  workspace = static_cast<std::size_t>(bytes);
}

// Operands have the numbers that they had when it was written, which are those of this file.
ConvolutionPlan::Graph::Graph(const ConvShape& s, Direction direction, DType type_of_weights,
                              std::span<const std::uint8_t> written)
    : layer(describe(s, direction)), weights_type(type_of_weights), sums(s.sums ? s.out : 0) {
  try {
    check(graph.deserialize(cudnn_handle(), std::vector<std::uint8_t>(written.begin(), written.end())));
  } catch (const NoPlan&) {
    throw;
  } catch (const std::exception& error) {  // of the JSON library, for bytes that are none of its own
    throw NoPlan("cuDNN: " + std::string(error.what()) + " (" + layer + ")");
  }
  read_workspace();
}

// A gradient of bf16 weights is wanted in f32, which only some of cuDNN's engines write; the others round it.
ConvolutionPlan::ConvolutionPlan(const ConvShape& shape, Direction direction, std::int64_t workspace_limit) {
  if (direction == Direction::BackwardWeights && shape.dtype == DType::BF16) {
    try {
      graph_ = std::make_unique<Graph>(shape, direction, DType::F32);
      graph_->build(shape, workspace_limit);
      return;
    } catch (const NoPlan&) {
    }
  }
  graph_ = std::make_unique<Graph>(shape, direction, shape.dtype);
  graph_->build(shape, workspace_limit);
}

// The type of the weights, and what cuDNN has of the plan.
ConvolutionPlan::ConvolutionPlan(const ConvShape& shape, Direction direction, std::span<const std::uint8_t> written) {
  if (written.empty()) throw NoPlan("no plan was written");
  const DType type_of_weights = written[0] == static_cast<std::uint8_t>(DType::F32) ? DType::F32 : shape.dtype;
  graph_ = std::make_unique<Graph>(shape, direction, type_of_weights, written.subspan(1));
}

std::vector<std::uint8_t> ConvolutionPlan::written() const {
  std::vector<std::uint8_t> plan;
  if (graph_->graph.serialize(plan).is_bad() || plan.empty()) return {};
  plan.insert(plan.begin(), static_cast<std::uint8_t>(graph_->weights_type));
  return plan;
}

std::string ConvolutionPlan::maker() {
  cudaDeviceProp gpu{};
  const cudaError_t status = cudaGetDeviceProperties(&gpu, current_device());
  if (status != cudaSuccess) fail("cudaGetDeviceProperties", cudaGetErrorString(status));
  return "cuDNN " + std::to_string(cudnnGetVersion()) + ", cudnn-frontend " + std::to_string(CUDNN_FRONTEND_VERSION) +
         ", " + gpu.name + ", compute capability " + std::to_string(gpu.major) + "." + std::to_string(gpu.minor) +
         ", " + std::to_string(gpu.multiProcessorCount) + " multiprocessors";
}

ConvolutionPlan::~ConvolutionPlan() = default;

std::size_t ConvolutionPlan::workspace_bytes() const { return graph_->workspace; }
DType ConvolutionPlan::weights_type() const { return graph_->weights_type; }

std::string ConvolutionPlan::name() const {
  std::string name;
  // One that was written has no name.
  return graph_->graph.get_plan_name(name).is_good() ? name : "cuDNN, as it was written";
}

void ConvolutionPlan::run(void* stream, void* x, void* w, void* y, void* workspace, float* sums) {
  const cudnnHandle_t handle = cudnn_handle();
  const cudnnStatus_t status = cudnnSetStream(handle, static_cast<cudaStream_t>(stream));
  if (status != CUDNN_STATUS_SUCCESS) fail("cudnnSetStream", cudnnGetErrorString(status), graph_->layer);
  std::unordered_map<std::int64_t, void*> operands{{kX, x}, {kW, w}, {kY, y}};
  if (graph_->sums > 0) operands.insert({{kSums, sums}, {kSumsOfSquares, sums + graph_->sums}});
  const std::lock_guard alone(running_);
  fe::error_t error = graph_->graph.execute(handle, operands, workspace);
  if (error.is_bad()) fail("cudnnBackendExecute", error.get_message(), graph_->layer);
}

}  // namespace winnow::cuda::vendor
