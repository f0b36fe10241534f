// The stand-in of cuBLASLt: values against plain loops, and each thing it refuses.
#include <cublasLt.h>

#include <cmath>
#include <numeric>

#include "kernels/portable.h"
#include "tests/emulator/device.h"

namespace winnow::emulator {
namespace {

std::vector<float> numbers(std::size_t count, int seed) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = static_cast<float>((i * 37 + static_cast<std::size_t>(seed)) % 17) - 8;
  return values;
}

struct Shape {
  cudaDataType_t type = CUDA_R_32F;
  std::uint64_t rows = 0, cols = 0;
  std::int64_t ld = 0;
  std::size_t count() const { return static_cast<std::size_t>(ld) * (cols - 1) + rows; }
};

// One product as a caller sets it up; tests change what they like before make().
class Matmul : public OnEmulator {
 protected:
  Matmul() { EXPECT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS); }

  // m x k times k x n.
  void extents(std::uint64_t m, std::uint64_t n, std::uint64_t k) {
    const auto shape = [](Shape& of, std::uint64_t rows, std::uint64_t cols) {
      of = {of.type, rows, cols, static_cast<std::int64_t>(rows) + 3};
    };
    turn_a == CUBLAS_OP_N ? shape(a, m, k) : shape(a, k, m);
    turn_b == CUBLAS_OP_N ? shape(b, k, n) : shape(b, n, k);
    shape(c, m, n), shape(d, m, n);
  }

  // Descriptors of these settings.
  void make() {
    EXPECT_EQ(cublasLtMatmulDescCreate(&desc, compute, scale), CUBLAS_STATUS_SUCCESS);
    set(CUBLASLT_MATMUL_DESC_TRANSA, turn_a), set(CUBLASLT_MATMUL_DESC_TRANSB, turn_b);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue), set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, promised_vector);
    for (const auto& [layout, shape] : {std::pair(&of_a, a), {&of_b, b}, {&of_c, c}, {&of_d, d}}) {
      EXPECT_EQ(cublasLtMatrixLayoutCreate(layout, shape.type, shape.rows, shape.cols, shape.ld),
                CUBLAS_STATUS_SUCCESS);
    }
    EXPECT_EQ(cublasLtMatmulPreferenceCreate(&preference), CUBLAS_STATUS_SUCCESS);
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, limit);
    for (int i = CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES; i <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES; ++i) {
      prefer(static_cast<cublasLtMatmulPreferenceAttributes_t>(i), alignment);
    }
  }
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    EXPECT_EQ(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS);
  }
  template <class T>
  void prefer(cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
    EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS);
  }
  cublasStatus_t choose() {
    found.assign(4, {});
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, desc, of_a, of_b, of_c, of_d, preference, most, found.data(), &count);
    for (int i = count - 1; i >= 0 && status == CUBLAS_STATUS_SUCCESS; --i) {
      const auto& one = found[static_cast<std::size_t>(i)];
      if (one.state == CUBLAS_STATUS_SUCCESS) algorithm = one.algo, workspace_bytes = one.workspaceSize;
    }
    return status;
  }
  void allocate() {
    at_a = on_device<float>(a.count()), at_b = on_device<float>(b.count());
    at_c = at_d = on_device<float>(d.count());
    workspace = on_device<char>(limit);
    if (epilogue != CUBLASLT_EPILOGUE_DEFAULT) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector = on_device<float>(64));
  }
  void ready() {
    extents(8, 3, 4);
    make();
    EXPECT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
    allocate();
  }
  cublasStatus_t multiply() {
    return cublasLtMatmul(handle, desc, alpha, at_a, of_a, at_b, of_b, beta, at_c, of_c, at_d, of_d, &algorithm,
                          workspace, workspace_bytes, stream);
  }

  const float values[2] = {1, 0};
  cublasLtHandle_t handle = nullptr;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType_t scale = CUDA_R_32F;
  cublasOperation_t turn_a = CUBLAS_OP_N, turn_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  Shape a, b, c, d;
  std::uintptr_t promised_vector = 0;
  std::uint64_t limit = 4096;
  std::uint32_t alignment = 16;
  int most = 4, count = 0;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t of_a = nullptr, of_b = nullptr, of_c = nullptr, of_d = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  std::vector<cublasLtMatmulHeuristicResult_t> found;
  cublasLtMatmulAlgo_t algorithm{};
  const void *alpha = values, *beta = values + 1;
  float *at_a = nullptr, *at_b = nullptr, *at_c = nullptr, *at_d = nullptr, *vector = nullptr;
  char* workspace = nullptr;
  std::size_t workspace_bytes = 0;
  cudaStream_t stream = nullptr;
};

class MatmulValues : public Matmul, public testing::WithParamInterface<int> {
 protected:
  // Device memory with these numbers as this type, and what they are once rounded.
  static void* upload(std::vector<float>& numbers, cudaDataType_t type) {
    if (type == CUDA_R_32F) return on_device(numbers);
    std::vector<bf16> rounded;
    for (float& number : numbers) number = to_float(rounded.emplace_back(from_float<bf16>(number)));
    return on_device(rounded);
  }
  static std::vector<float> download(const void* at, std::size_t count, cudaDataType_t type) {
    if (type == CUDA_R_32F) return read(static_cast<const float*>(at), count);
    std::vector<float> numbers;
    for (const bf16 number : read(static_cast<const bf16*>(at), count)) numbers.push_back(to_float(number));
    return numbers;
  }
};

TEST_P(MatmulValues, AreThoseOfPlainLoops) {
  const int bits = GetParam();
  turn_a = (bits & 1) != 0 ? CUBLAS_OP_T : CUBLAS_OP_N;
  turn_b = (bits & 2) != 0 ? CUBLAS_OP_T : CUBLAS_OP_N;
  a.type = b.type = (bits & 4) != 0 ? CUDA_R_16BF : CUDA_R_32F;
  c.type = d.type = (bits & 8) != 0 ? a.type : CUDA_R_32F;
  const bool has_bias = (bits & 16) != 0, has_gradient = (bits & 48) == 32;
  epilogue = has_bias ? CUBLASLT_EPILOGUE_BIAS : has_gradient ? CUBLASLT_EPILOGUE_BGRADB : CUBLASLT_EPILOGUE_DEFAULT;
  if (has_bias || has_gradient) promised_vector = 16;
  const std::size_t m = 8, n = 5, k = 7;
  extents(m, n, k);
  make();
  if (has_gradient && a.type == CUDA_R_16BF) {
    EXPECT_EQ(choose(), CUBLAS_STATUS_NOT_SUPPORTED);
    return;
  }
  ASSERT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
  std::vector<float> x = numbers(a.count(), 1), y = numbers(b.count(), 2), z = numbers(d.count(), 3), v = numbers(m, 4);
  void *dx = upload(x, a.type), *dy = upload(y, b.type), *dz = upload(z, d.type), *dv = upload(v, d.type);
  if (promised_vector != 0) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, dv);
  const float factors[2] = {0.5f, 0};
  workspace = on_device<char>(limit);
  EXPECT_EQ(cublasLtMatmul(handle, desc, factors, dx, of_a, dy, of_b, factors + 1, dz, of_c, dz, of_d, &algorithm,
                           workspace, workspace_bytes, nullptr),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(counts(Within::Direct).library, 1u);
  const std::vector<float> result = download(dz, d.count(), d.type), sums = download(dv, has_gradient ? n : 0, d.type);
  const auto at = [](const Shape& of, bool turn, std::size_t row, std::size_t col) {
    return turn ? col + row * static_cast<std::size_t>(of.ld) : row + col * static_cast<std::size_t>(of.ld);
  };
  for (std::size_t j = 0; j < n; ++j) {
    double of_column = 0;
    for (std::size_t i = 0; i < m; ++i) {
      double right = 0;
      for (std::size_t l = 0; l < k; ++l) {
        right += 0.5 * x[at(a, turn_a == CUBLAS_OP_T, i, l)] * y[at(b, turn_b == CUBLAS_OP_T, l, j)];
      }
      if (has_bias) right += v[i];
      EXPECT_NEAR(result[at(d, false, i, j)], right, d.type == CUDA_R_16BF ? std::abs(right) / 256 : 0)
          << i << " " << j;
    }
    for (std::size_t l = 0; l < k; ++l) of_column += y[at(b, turn_b == CUBLAS_OP_T, l, j)];
    if (has_gradient) {
      EXPECT_EQ(sums[j], of_column);
    }
  }
  EXPECT_EQ(result[m], z[m]) << "between two columns";
}

INSTANTIATE_TEST_SUITE_P(All, MatmulValues, testing::Range(0, 64));

TEST_F(Matmul, RefusesProblems) {
  struct Wrong {
    const char* what;
    std::function<void()> change;
    cublasStatus_t status;
  };
  constexpr auto invalid = CUBLAS_STATUS_INVALID_VALUE, unsupported = CUBLAS_STATUS_NOT_SUPPORTED;
  const Wrong all[] = {
      {"inner extents", [&] { b.rows = 5; }, invalid},
      {"rows of D", [&] { d.rows = c.rows = 7; }, invalid},
      {"columns of D", [&] { d.cols = c.cols = 2; }, invalid},
      {"rows of C", [&] { c.rows = 7; }, invalid},
      {"a turned operand", [&] { turn_a = CUBLAS_OP_T; }, invalid},
      {"a leading dimension", [&] { d.ld = 7; }, invalid},
      {"no rows", [&] { a.rows = d.rows = c.rows = 0; }, invalid},
      {"many columns", [&] { b.cols = c.cols = d.cols = std::uint64_t{1} << 31; }, unsupported},
      {"types of A and B", [&] { a.type = CUDA_R_16BF; }, invalid},
      {"types of C and D", [&] { c.type = CUDA_R_16BF; }, invalid},
      {"scale type", [&] { scale = CUDA_R_16BF; }, invalid},
      {"f64", [&] { a.type = b.type = c.type = d.type = CUDA_R_64F; }, unsupported},
      {"f32 to bf16", [&] { c.type = d.type = CUDA_R_16BF; }, unsupported},
      {"compute type", [&] { compute = CUBLAS_COMPUTE_64F; }, unsupported},
      {"TF32 of bf16", [&] { a.type = b.type = CUDA_R_16BF, compute = CUBLAS_COMPUTE_32F_FAST_TF32; }, unsupported},
      {"no bias pointer", [&] { epilogue = CUBLASLT_EPILOGUE_BIAS; }, invalid},
      {"a bias pointer for nothing", [&] { promised_vector = 16; }, invalid},
      {"a bias pointer between numbers", [&] { epilogue = CUBLASLT_EPILOGUE_BIAS, promised_vector = 18; }, invalid},
      {"an epilogue that is none", [&] { epilogue = static_cast<cublasLtEpilogue_t>(6), promised_vector = 16; },
       unsupported},
      {"no results wanted", [&] { most = 0; }, invalid},
      {"alignment of 24", [&] { alignment = 24; }, invalid},
      {"a destroyed layout", [&] { EXPECT_EQ(cublasLtMatrixLayoutDestroy(of_a), CUBLAS_STATUS_SUCCESS); }, invalid},
      {"a destroyed descriptor", [&] { EXPECT_EQ(cublasLtMatmulDescDestroy(desc), CUBLAS_STATUS_SUCCESS); }, invalid},
      {"a destroyed preference", [&] { EXPECT_EQ(cublasLtMatmulPreferenceDestroy(preference), CUBLAS_STATUS_SUCCESS); },
       invalid},
      {"no handle", [&] { handle = nullptr; }, CUBLAS_STATUS_NOT_INITIALIZED},
      {"nothing", [] {}, CUBLAS_STATUS_SUCCESS},
  };
  for (const Wrong& wrong : all) {
    SCOPED_TRACE(wrong.what);
    epilogue = CUBLASLT_EPILOGUE_DEFAULT, compute = CUBLAS_COMPUTE_32F, scale = CUDA_R_32F;
    turn_a = turn_b = CUBLAS_OP_N, promised_vector = 0, alignment = 16, most = 4;
    a.type = b.type = c.type = d.type = CUDA_R_32F;
    extents(8, 3, 4);
    const cublasLtHandle_t before = handle;
    const bool is_destroyed = std::string(wrong.what).find("destroyed") != std::string::npos;
    if (!is_destroyed) wrong.change();
    make();
    if (is_destroyed) wrong.change();
    EXPECT_EQ(choose(), wrong.status);
    handle = before;
  }
}

TEST_F(Matmul, RefusesAttributesOfAnotherSize) {
  ready();
  const std::uint64_t wide = 1;
  for (const auto attribute :
       {CUBLASLT_MATMUL_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSB, CUBLASLT_MATMUL_DESC_EPILOGUE}) {
    EXPECT_EQ(cublasLtMatmulDescSetAttribute(desc, attribute, &wide, 8), CUBLAS_STATUS_INVALID_VALUE);
  }
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &wide, 4),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, nullptr, 4), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &wide, 4),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &wide, 8),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &wide, 8),
            CUBLAS_STATUS_INVALID_VALUE);
}

TEST_F(Matmul, RefusesCalls) {
  set_device_count(2);
  epilogue = CUBLASLT_EPILOGUE_BIAS, promised_vector = 16;
  ready();
  float* const elsewhere = on_device<float>(1);
  cudaSetDevice(1);
  const cudaStream_t foreign = new_stream();
  cudaSetDevice(0);
  static constexpr float one = 1;
  cublasLtMatrixLayout_t wider = nullptr;
  EXPECT_EQ(cublasLtMatrixLayoutCreate(&wider, d.type, d.rows, d.cols, d.ld + 1), CUBLAS_STATUS_SUCCESS);
  constexpr auto invalid = CUBLAS_STATUS_INVALID_VALUE, unsupported = CUBLAS_STATUS_NOT_SUPPORTED;
  const auto with = [&](auto& setting, auto value, cublasStatus_t status, const char* what) {
    const auto before = setting;
    setting = value;
    EXPECT_EQ(multiply(), status) << what;
    setting = before;
  };
  with(handle, nullptr, CUBLAS_STATUS_NOT_INITIALIZED, "no handle");
  with(desc, nullptr, invalid, "no descriptor");
  with(of_d, nullptr, invalid, "no layout");
  with(alpha, nullptr, invalid, "no alpha");
  with(alpha, elsewhere, invalid, "alpha on the device");
  with(beta, elsewhere, invalid, "beta on the device");
  with(at_a, nullptr, invalid, "no A");
  with(at_b, nullptr, invalid, "no B");
  with(at_d, nullptr, invalid, "no D");
  with(of_d, wider, invalid, "C is D with another layout");
  with(algorithm, cublasLtMatmulAlgo_t{}, invalid, "an algorithm that nobody chose");
  with(workspace_bytes, workspace_bytes - 1, invalid, "a small workspace");
  with(workspace, nullptr, invalid, "no workspace");
  with(workspace, workspace + 128, invalid, "a workspace aligned to 128");
  with(at_a, at_a + 2, unsupported, "A aligned to 8");
  with(at_b, at_b + 1, unsupported, "B aligned to 4");
  with(at_d, at_d + 2, unsupported, "D aligned to 8");
  with(stream, foreign, CUBLAS_STATUS_EXECUTION_FAILED, "a stream of another device");
  with(beta, &one, unsupported, "a C to add");
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector + 1);
  EXPECT_EQ(multiply(), unsupported) << "a bias less aligned than was promised";
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, nullptr);
  EXPECT_EQ(multiply(), invalid) << "no bias";
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BGRADB);
  EXPECT_EQ(multiply(), invalid) << "an algorithm for another epilogue";
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  cudaSetDevice(1);
  EXPECT_EQ(multiply(), invalid) << "a handle of another device";
  cudaSetDevice(0);
  fail("cublasLtMatmul", 1, cudaErrorLaunchFailure);
  EXPECT_EQ(multiply(), CUBLAS_STATUS_EXECUTION_FAILED);
  fail("cublasLtMatmulAlgoGetHeuristic", 1, cudaErrorNotSupported);
  EXPECT_EQ(choose(), unsupported);
  EXPECT_EQ(pending(), 0u);
  EXPECT_EQ(multiply(), CUBLAS_STATUS_SUCCESS) << "none of it";
  handle = nullptr;
  EXPECT_EQ(multiply(), CUBLAS_STATUS_NOT_INITIALIZED);
}

TEST_F(Matmul, ReportsMemoryThatIsNotThere) {
  const auto reported = [&](const std::function<void()>& change, const std::string& what) {
    reset();
    set_device_count(2);
    epilogue = CUBLASLT_EPILOGUE_BIAS, promised_vector = 16;
    ready();
    change();
    EXPECT_EQ(multiply(), CUBLAS_STATUS_SUCCESS) << what;
    EXPECT_NE(cudaDeviceSynchronize(), cudaSuccess) << what;
    EXPECT_NE(first_report().find(what), std::string::npos) << first_report() << ", not " << what;
  };
  alignas(16) static float host[64];
  reported([&] { at_a = host; }, "A: not");
  reported([&] { at_b = on_device<float>(b.count() - 1); }, "B: not");
  reported([&] { at_c = at_d = on_device<float>(d.count() - 1); }, "D: not");
  reported([&] { set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, on_device<float>(d.rows - 1)); }, "bias: not");
  reported([&] { workspace = on_device<char>(workspace_bytes - 1); }, "workspace: not");
  reported([&] { at_c = at_d = at_a; }, "D overlaps A");
  reported([&] { workspace = reinterpret_cast<char*>(at_b); }, "workspace: not");
  reported(
      [&] {
        cudaSetDevice(1);
        at_a = on_device<float>(a.count());
        cudaSetDevice(0);
      },
      "A: not");
}

TEST_F(Matmul, RunsLaterAndInGraphs) {
  ready();
  std::vector<float> x = numbers(a.count(), 1), y = numbers(b.count(), 2);
  at_a = on_device(x), at_b = on_device(y);
  stream = new_stream();
  float of_call = 1;
  alpha = &of_call;
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(multiply(), CUBLAS_STATUS_SUCCESS);
  of_call = 7;  // read by the call itself
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
  EXPECT_TRUE(std::isnan(read(at_d, 1)[0]));
  float sum = 0;
  for (std::size_t l = 0; l < 4; ++l) sum += x[l * static_cast<std::size_t>(a.ld)] * y[l];
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(cudaMemsetAsync(at_d, 0, sizeof(float), stream), cudaSuccess);
    EXPECT_EQ(cudaMemsetAsync(workspace, 0, limit, stream), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(read(at_d, 1)[0], sum);
    const std::vector<char> left = read(workspace, workspace_bytes + 1);
    EXPECT_EQ(left[0], '\xff') << "the workspace is not the caller's";
    EXPECT_EQ(left[workspace_bytes - 1], '\xff');
    EXPECT_EQ(left[workspace_bytes], '\0') << "what lies behind it is";
  }
  EXPECT_EQ(counts(Within::Graphs).library, 2u);
}

TEST_F(Matmul, AlgorithmsAreGivenByTheirLimits) {
  extents(8, 3, 4);
  limit = 0;
  make();
  EXPECT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(count, 2);
  EXPECT_NE(found[0].state, CUBLAS_STATUS_SUCCESS) << "the state has to be looked at";
  EXPECT_EQ(found[1].workspaceSize, 0u);
  limit = 4096, a.type = b.type = c.type = d.type = CUDA_R_16BF, epilogue = CUBLASLT_EPILOGUE_BIAS,
  promised_vector = 16;
  extents(10, 3, 4);
  make();
  EXPECT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(count, 0) << "success without an algorithm";
  alignment = 256, epilogue = CUBLASLT_EPILOGUE_DEFAULT, promised_vector = 0;
  extents(8, 3, 4);
  make();
  EXPECT_EQ(choose(), CUBLAS_STATUS_SUCCESS);
  allocate();
  at_a = on_device<float>(100) + 4;
  EXPECT_EQ(multiply(), CUBLAS_STATUS_NOT_SUPPORTED) << "as aligned as was said, by default to 256";
}

}  // namespace
}  // namespace winnow::emulator
