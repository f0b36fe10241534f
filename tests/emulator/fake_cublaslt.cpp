// cuBLASLt (include/cublasLt.h) on the emulated machine. Sources: cublasLt.h of CUDA 13.0; cuBLAS, "cublasLtMatmul" (table of
// types, alignment of the workspace); what the library itself says of wrong arguments (CUBLASLT_LOG_LEVEL). Nothing is added
// to C. fail() makes "cublasLtMatmul" fail to launch, and "cublasLtMatmulAlgoGetHeuristic" find nothing. Objects outlive reset().
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <set>

#include "tests/emulator/library.h"

using namespace winnow::emulator;

struct cublasLtContext {
  int device;
};
struct cublasLtMatrixLayoutOpaque_t {
  cudaDataType_t type;
  std::uint64_t rows, cols;
  std::int64_t ld;
  bool operator==(const cublasLtMatrixLayoutOpaque_t&) const = default;
  winnow::DType dtype() const { return type == CUDA_R_16BF ? winnow::DType::BF16 : winnow::DType::F32; }
  std::size_t at(std::size_t row, std::size_t col) const { return row + col * static_cast<std::size_t>(ld); }
  std::size_t bytes(std::size_t count) const { return count * static_cast<std::size_t>(winnow::size_of(dtype())); }
  std::size_t bytes() const { return bytes(at(rows, cols - 1)); }
};
struct cublasLtMatmulDescOpaque_t {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  std::int32_t turn_a = CUBLAS_OP_N, turn_b = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* vector = nullptr;
  bool operator==(const cublasLtMatmulDescOpaque_t&) const = default;
};
struct cublasLtMatmulPreferenceOpaque_t {
  std::uint64_t workspace = 0;
  std::uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::array<std::uint32_t, 4> alignment = {256, 256, 256, 256};  // of A, B, C, D
};

namespace {

using Matrix = cublasLtMatrixLayoutOpaque_t;
using Status = cublasStatus_t;
constexpr Status kInvalid = CUBLAS_STATUS_INVALID_VALUE, kUnsupported = CUBLAS_STATUS_NOT_SUPPORTED;

struct Problem {
  int device;
  cublasLtMatmulDescOpaque_t desc;
  Matrix a, b, c, d;
  bool operator==(const Problem&) const = default;
  std::size_t vector_bytes() const {
    if (desc.epilogue == CUBLASLT_EPILOGUE_DEFAULT) return 0;
    return d.bytes(desc.epilogue == CUBLASLT_EPILOGUE_BIAS ? d.rows : d.cols);
  }
};
// As the heuristics gave it: for this problem alone, and operands aligned as was said then.
struct Algorithm {
  Problem problem;
  std::size_t workspace;
  std::array<std::uint32_t, 4> alignment;
  std::size_t vector_alignment;
};

// What callers have made and not destroyed; anything else is refused without a look at it.
struct Made {
  std::mutex mutex;
  std::set<const void*> objects;
  std::vector<Algorithm> algorithms;
};
Made& made_objects() {
  static auto* const all = new Made;  // never destroyed: the last descriptor goes after main
  return *all;
}

template <class Body>
Status cublaslt_call(const Body& body) {
  try {
    body();
    return CUBLAS_STATUS_SUCCESS;
  } catch (const Refusal<Status>& refusal) {
    return refusal.code;
  }
}
template <class T>
Status make_object(T** to, T value) {
  if (to == nullptr) return kInvalid;
  const std::lock_guard lock(made_objects().mutex);
  made_objects().objects.insert(*to = new T(value));
  return CUBLAS_STATUS_SUCCESS;
}
template <class T>
Status destroy_object(T* one) {
  const std::lock_guard lock(made_objects().mutex);
  if (made_objects().objects.erase(one) == 0) return kInvalid;
  delete one;
  return CUBLAS_STATUS_SUCCESS;
}
void require_made(std::initializer_list<const void*> objects, Status otherwise = kInvalid) {
  const std::lock_guard lock(made_objects().mutex);
  for (const void* one : objects) require(made_objects().objects.contains(one), otherwise);
}
template <class T>
void assign_attribute(T& to, const void* value, std::size_t bytes) {
  require(value != nullptr && bytes == sizeof to, kInvalid);
  std::memcpy(&to, value, bytes);
}

Problem read_problem(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                     cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
  require_made({handle}, CUBLAS_STATUS_NOT_INITIALIZED);
  require_made({desc, a, b, c, d});
  const Problem p{handle->device, *desc, *a, *b, *c, *d};
  int device = -1;
  require(cudaGetDevice(&device) == cudaSuccess && device == p.device, kInvalid);
  for (const Matrix& one : {p.a, p.b, p.c, p.d}) {
    require(one.rows > 0 && one.cols > 0 && one.ld >= static_cast<std::int64_t>(one.rows), kInvalid);
    require(std::max(one.rows, one.cols) < std::uint64_t{1} << 31, kUnsupported);
  }
  const bool turn_a = desc->turn_a != CUBLAS_OP_N, turn_b = desc->turn_b != CUBLAS_OP_N;
  require((turn_a ? a->cols : a->rows) == d->rows && (turn_b ? b->rows : b->cols) == d->cols, kInvalid);
  require((turn_a ? a->rows : a->cols) == (turn_b ? b->cols : b->rows), kInvalid);
  require(c->rows == d->rows && c->cols == d->cols, kInvalid);

  require(a->type == b->type && c->type == d->type && desc->scale == CUDA_R_32F, kInvalid);
  const bool f32 = a->type == CUDA_R_32F, to_f32 = d->type == CUDA_R_32F;
  require(desc->compute == CUBLAS_COMPUTE_32F || (desc->compute == CUBLAS_COMPUTE_32F_FAST_TF32 && f32), kUnsupported);
  require(f32 ? to_f32 : a->type == CUDA_R_16BF && (to_f32 || d->type == CUDA_R_16BF), kUnsupported);
  const bool known = desc->epilogue == CUBLASLT_EPILOGUE_DEFAULT || desc->epilogue == CUBLASLT_EPILOGUE_BIAS;
  require(known || desc->epilogue == CUBLASLT_EPILOGUE_BGRADB, kUnsupported);
  // "The Bias pointer is required for", "is NOT allowed for", "must be aligned to output data type".
  require((p.vector_bytes() > 0) == (desc->vector != nullptr) && is_aligned(desc->vector, d->bytes(1)), kInvalid);
  return p;
}

// op(X), dense.
std::vector<float> dense_operand(const Matrix& matrix, const void* at, int operation) {
  const bool turn = operation != CUBLAS_OP_N;
  const std::vector<float> stored = floats(at, matrix.at(matrix.rows, matrix.cols - 1), matrix.dtype());
  const std::size_t rows = turn ? matrix.cols : matrix.rows;
  std::vector<float> dense(matrix.rows * matrix.cols);
  for (std::size_t i = 0; i < dense.size(); ++i) {
    dense[i] = stored[turn ? matrix.at(i / rows, i % rows) : matrix.at(i % rows, i / rows)];
  }
  return dense;
}

// D = alpha * op(A) * op(B), a call as it was made, to run later. Sums of f32 in the order of k.
struct Product {
  Problem problem;
  float alpha;
  const void *a, *b;
  void *d, *workspace;
  std::size_t workspace_bytes;
  void operator()() const;
};

void Product::operator()() const {
  const auto& [device, desc, of_a, of_b, of_c, of_d] = problem;
  const bool has_bias = desc.epilogue == CUBLASLT_EPILOGUE_BIAS, has_sums = desc.epilogue == CUBLASLT_EPILOGUE_BGRADB;
  expect_memory({{"A", a, of_a.bytes()},
                 {"B", b, of_b.bytes()},
                 {"D", d, of_d.bytes(), true},
                 {"bias", desc.vector, problem.vector_bytes(), has_sums},
                 {"workspace", workspace, workspace_bytes, true}},
                device);
  poison(workspace, workspace_bytes);
  const std::vector<float> left = dense_operand(of_a, a, desc.turn_a), right = dense_operand(of_b, b, desc.turn_b),
                           bias = floats(desc.vector, has_bias ? of_d.rows : 0, of_d.dtype());
  for (std::size_t j = 0, k = right.size() / of_d.cols; j < of_d.cols; ++j) {
    std::vector<float> sums(of_d.rows);
    float of_column = 0;
    for (std::size_t l = 0; l < k; ++l) {
      const float factor = right[l + j * k];
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += left[i + l * sums.size()] * factor;
      of_column += factor;
    }
    for (std::size_t i = 0; i < sums.size(); ++i) {
      store(d, of_d.at(i, j), of_d.dtype(), alpha * sums[i] + (has_bias ? bias[i] : 0.0f));
    }
    if (has_sums) store(desc.vector, j, of_d.dtype(), of_column);
  }
  poison(workspace, workspace_bytes);
}

}  // namespace

const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS           ? "success"
         : status == CUBLAS_STATUS_NOT_INITIALIZED ? "the library was not initialized"
         : status == kInvalid                      ? "an unsupported value or parameter was passed to the function"
         : status == kUnsupported                  ? "the requested functionality is not supported"
                                                   : "the function failed to launch on the GPU";
}

Status cublasLtCreate(cublasLtHandle_t* handle) {
  int device = -1;
  return cudaGetDevice(&device) == cudaSuccess ? make_object(handle, {device}) : CUBLAS_STATUS_NOT_INITIALIZED;
}
Status cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type, std::uint64_t rows,
                                  std::uint64_t cols, std::int64_t ld) {
  return make_object(layout, {type, rows, cols, ld});
}
Status cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return destroy_object(layout); }
Status cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t scale) {
  return make_object(desc, {compute, scale});
}
Status cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) { return destroy_object(desc); }
Status cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) { return make_object(preference, {}); }
Status cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) { return destroy_object(preference); }

Status cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                      const void* value, std::size_t bytes) {
  return cublaslt_call([&] {
    require_made({desc});
    if (attribute == CUBLASLT_MATMUL_DESC_TRANSA) return assign_attribute(desc->turn_a, value, bytes);
    if (attribute == CUBLASLT_MATMUL_DESC_TRANSB) return assign_attribute(desc->turn_b, value, bytes);
    if (attribute == CUBLASLT_MATMUL_DESC_EPILOGUE) return assign_attribute(desc->epilogue, value, bytes);
    require(attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER, kInvalid);
    assign_attribute(desc->vector, value, bytes);
  });
}

Status cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                            cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                            std::size_t bytes) {
  return cublaslt_call([&] {
    require_made({preference});
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
      return assign_attribute(preference->workspace, value, bytes);
    if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
      return assign_attribute(preference->schemes, value, bytes);
    const int operand = attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
    require(operand >= 0 && operand < 4, kInvalid);
    assign_attribute(preference->alignment[static_cast<std::size_t>(operand)], value, bytes);
  });
}

// One that splits k, with a workspace, and one without. Before them one that cannot be used, as its state says.
Status cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                      cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                      cublasLtMatmulPreference_t preference, int most,
                                      cublasLtMatmulHeuristicResult_t* results, int* count) {
  return cublaslt_call([&] {
    Problem problem = read_problem(handle, desc, a, b, c, d);
    require_made({preference});
    require(most > 0 && results != nullptr && count != nullptr, kInvalid);
    for (const std::uint32_t bytes : preference->alignment) require(std::has_single_bit(bytes), kInvalid);
    *count = 0;
    // cuBLASLt need not have an algorithm. Here are none for these, which callers must do without.
    const bool bf16 = a->type == CUDA_R_16BF;
    require(injected("cublasLtMatmulAlgoGetHeuristic") == cudaSuccess, kUnsupported);
    require(!bf16 || desc->epilogue != CUBLASLT_EPILOGUE_BGRADB, kUnsupported);
    if (bf16 && desc->epilogue == CUBLASLT_EPILOGUE_BIAS && d->rows % 8 != 0) return;

    // "Routines that don't dereference this pointer depend on its value to determine expected pointer alignment."
    const auto address = reinterpret_cast<std::uintptr_t>(std::exchange(problem.desc.vector, nullptr));
    const std::size_t vector_alignment = std::size_t{1} << std::min(4, address == 0 ? 0 : std::countr_zero(address));
    const std::lock_guard lock(made_objects().mutex);
    const auto add = [&](Status state, std::size_t workspace) {
      if (*count == most) return;
      cublasLtMatmulHeuristicResult_t& result = results[(*count)++] = {};
      result.state = state;
      if (state != CUBLAS_STATUS_SUCCESS) return;
      result.workspaceSize = workspace;
      made_objects().algorithms.push_back({problem, workspace, preference->alignment, vector_alignment});
      result.algo.data[0] = made_objects().algorithms.size();
    };
    add(kUnsupported, 0);
    const std::size_t partial_sums = 2 * sizeof(float) * d->rows * d->cols;
    const bool splits = (preference->schemes & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) != 0;
    if (splits && partial_sums <= preference->workspace) add(CUBLAS_STATUS_SUCCESS, partial_sums);
    add(CUBLAS_STATUS_SUCCESS, 0);
  });
}

Status cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* at_a,
                      cublasLtMatrixLayout_t a, const void* at_b, cublasLtMatrixLayout_t b, const void* beta,
                      const void* at_c, cublasLtMatrixLayout_t c, void* at_d, cublasLtMatrixLayout_t d,
                      const cublasLtMatmulAlgo_t* algorithm, void* workspace, std::size_t workspace_bytes,
                      cudaStream_t stream) {
  return cublaslt_call([&] {
    Problem problem = read_problem(handle, desc, a, b, c, d);
    // Without an algorithm the library would ask its heuristics, and the caller could not know which bits come out.
    require(alpha != nullptr && beta != nullptr && algorithm != nullptr, kInvalid);
    // CUBLASLT_POINTER_MODE_HOST.
    require(!is_device_memory(alpha, 1) && !is_device_memory(beta, 1), kInvalid);
    const Product product{problem, *static_cast<const float*>(alpha), at_a, at_b, at_d, workspace, workspace_bytes};
    require(at_a != nullptr && at_b != nullptr && at_d != nullptr && (at_c != at_d || *c == *d), kInvalid);
    require(*static_cast<const float*>(beta) == 0, kUnsupported);

    std::unique_lock lock(made_objects().mutex);
    const std::uint64_t place = algorithm->data[0];
    require(place > 0 && place <= made_objects().algorithms.size(), kInvalid);
    const Algorithm chosen = made_objects().algorithms[place - 1];
    lock.unlock();
    problem.desc.vector = nullptr;
    require(chosen.problem == problem && workspace_bytes >= chosen.workspace, kInvalid);
    require((workspace_bytes == 0 || workspace != nullptr) && is_aligned(workspace, 256), kInvalid);
    const void* const operands[] = {at_a, at_b, at_c, at_d};
    for (std::size_t i = 0; i < 4; ++i) require(is_aligned(operands[i], chosen.alignment[i]), kUnsupported);
    require(is_aligned(desc->vector, chosen.vector_alignment), kUnsupported);
    require(enqueue("cublasLtMatmul", stream, {.name = "cublasLtMatmul", .run = product}) == cudaSuccess,
            CUBLAS_STATUS_EXECUTION_FAILED);
  });
}
