// Batch norm with its fused residual and ReLU against double precision, forward and backward.
#include "kernels/cpu/batch_norm.h"

#include "tests/kernels/reference.h"

namespace winnow::test {
namespace {

struct Case {
  std::int64_t rows, channels;
  bool running, relu, residual;
  double mean = 0;  // added to x
};

struct Result {
  Doubles y, mean, var, dx, dgamma, dbeta, dresidual;
};

// x, residual and dy are {rows, channels}; y comes rounded as the kernel stores it when it gates the backward pass.
Result reference(const Case& c, const Doubles& x, const Doubles& residual, const Doubles& gamma, const Doubles& beta,
                 const Doubles& running_mean, const Doubles& running_var, const Doubles& dy, double eps) {
  const auto rows = static_cast<std::size_t>(c.rows), channels = static_cast<std::size_t>(c.channels);
  const double n = static_cast<double>(rows);
  Result r{Doubles(x.size()), running_mean,      running_var,      Doubles(x.size()),
           Doubles(channels), Doubles(channels), Doubles(x.size())};
  for (std::size_t k = 0; k < channels; ++k) {
    if (!c.running) {
      r.mean[k] = r.var[k] = 0;
      for (std::size_t i = 0; i < rows; ++i) r.mean[k] += x[i * channels + k] / n;
      for (std::size_t i = 0; i < rows; ++i) r.var[k] += std::pow(x[i * channels + k] - r.mean[k], 2) / n;
    }
    const double rstd = 1 / std::sqrt(r.var[k] + eps);
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t at = i * channels + k;
      const double hat = (x[at] - r.mean[k]) * rstd;
      const double sum = hat * gamma[k] + beta[k] + (c.residual ? residual[at] : 0);
      r.y[at] = c.relu ? std::max(sum, 0.0) : sum;
      r.dresidual[at] = c.relu && sum <= 0 ? 0 : dy[at];
      r.dbeta[k] += r.dresidual[at];
      r.dgamma[k] += r.dresidual[at] * hat;
    }
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t at = i * channels + k;
      const double hat = (x[at] - r.mean[k]) * rstd;
      const double through = c.running ? 0 : (r.dbeta[k] + hat * r.dgamma[k]) / n;
      r.dx[at] = gamma[k] * rstd * (r.dresidual[at] - through);
    }
  }
  return r;
}

template <class T>
void check(const Case& c, int threads) {
  const DType type = std::is_same_v<T, bf16> ? DType::BF16 : DType::F32;
  const double tolerance = type == DType::BF16 ? 2e-2 : 1e-5, eps = 1e-3;
  const auto size = static_cast<std::size_t>(c.rows * c.channels), channels = static_cast<std::size_t>(c.channels);
  Doubles x = random_values(size, 1, type);
  for (double& v : x) v = static_cast<double>(static_cast<float>(v + c.mean));
  const Doubles residual = random_values(size, 2, type), dy = random_values(size, 3, type);
  const Doubles gamma = random_values(channels, 4), beta = random_values(channels, 5);
  const Doubles running_mean = random_values(channels, 6);
  Doubles running_var = random_values(channels, 7);
  for (double& v : running_var) v += 1.5;
  const Result want = reference(c, x, residual, gamma, beta, running_mean, running_var, dy, eps);

  const auto tx = as<T>(x), tr = as<T>(residual), tdy = as<T>(dy);
  const auto tg = as<float>(gamma), tb = as<float>(beta);
  auto rm = as<float>(running_mean), rv = as<float>(running_var);
  std::vector<T> y(size), dx(size), dresidual(size);
  std::vector<float> mean(channels), rstd(channels), dgamma(channels), dbeta(channels);
  const cpu::BatchNormShape shape{c.rows, c.channels, c.running, c.relu, static_cast<float>(eps), 0.1f};
  std::vector<std::byte> scratch(shape.scratch_bytes());
  RunState state;
  cpu::batch_norm_forward<T>(shape,
                             {tx.data(), c.residual ? tr.data() : nullptr, tg.data(), tb.data(), rm.data(), rv.data(),
                              y.data(), mean.data(), rstd.data(), &state},
                             scratch.data(), threads);
  expect_close(y, want.y, tolerance);
  expect_close(mean, want.mean, 1e-5);
  Doubles new_mean = running_mean, new_var = running_var;
  if (!c.running) {
    const double n = static_cast<double>(c.rows);
    for (std::size_t k = 0; k < channels; ++k) {
      new_mean[k] = 0.9 * running_mean[k] + 0.1 * want.mean[k];
      new_var[k] = 0.9 * running_var[k] + 0.1 * want.var[k] * n / (n - 1);
    }
  }
  expect_close(rm, new_mean, 1e-5);
  expect_close(rv, new_var, 1e-5);

  const bool gated = c.relu && c.residual;
  cpu::batch_norm_backward<T>(shape,
                              {tdy.data(), tx.data(), gated ? y.data() : nullptr, tg.data(), tb.data(), mean.data(),
                               rstd.data(), dx.data(), gated ? dresidual.data() : nullptr, dgamma.data(), dbeta.data()},
                              scratch.data(), threads);
  expect_close(dgamma, want.dgamma, tolerance);
  expect_close(dbeta, want.dbeta, tolerance);
  expect_close(dx, want.dx, tolerance);
  if (gated) expect_close(dresidual, want.dresidual, 0);
}

const Case kCases[] = {
    {300, 16, false, false, false}, {128, 20, false, true, false}, {77, 3, false, false, true},
    {2000, 16, false, true, true},  {64, 100, false, true, true},  {500, 512, false, true, false},
    {90, 50, true, true, true},     {129, 64, true, false, false}, {4096, 32, false, false, false, 100.0},
};

class BatchNorm : public ::testing::TestWithParam<Case> {};
TEST_P(BatchNorm, MatchesDoublePrecision) { check<float>(GetParam(), 1); }
TEST_P(BatchNorm, MatchesDoublePrecisionInBf16) {
  if (GetParam().mean == 0) check<bf16>(GetParam(), 1);
}
TEST_P(BatchNorm, MatchesDoublePrecisionOnThreeThreads) { check<float>(GetParam(), 3); }
INSTANTIATE_TEST_SUITE_P(Rows, BatchNorm, ::testing::ValuesIn(kCases));

// One channel of two has a bad value: its results say so, the run is marked, the other channel is as ever.
void check_bad_value(float bad, bool finite_mean) {
  const cpu::BatchNormShape shape{4, 2, false, true, 1e-5f, 0.1f};
  const std::vector<float> x{1, 1, bad, 2, 3, 3, 4, 4};
  std::vector<float> y(8), mean(2), rstd(2), running_mean(2), running_var(2, 1.0f);
  std::vector<std::byte> scratch(shape.scratch_bytes());
  RunState state;
  state.feed.step = 9;
  cpu::batch_norm_forward<float>(shape,
                                 {x.data(), nullptr, nullptr, nullptr, running_mean.data(), running_var.data(),
                                  y.data(), mean.data(), rstd.data(), &state},
                                 scratch.data(), 1);
  EXPECT_EQ(std::isfinite(mean[0]), finite_mean) << bad;
  EXPECT_FALSE(std::isfinite(running_var[0])) << bad;
  EXPECT_TRUE(std::isfinite(running_var[1]) && std::isfinite(y[1])) << bad;
  EXPECT_EQ(state.status.not_finite, 1u) << bad;
  EXPECT_EQ(state.status.since, 9u) << bad;
}

TEST(BatchNorm, AStatisticThatIsNotFiniteIsMarked) {
  check_bad_value(std::nanf(""), false);
  check_bad_value(INFINITY, false);
  check_bad_value(1e30f, true);  // its square is more than f32 holds
}

// As PyTorch's threshold_backward: where the output is NaN the ReLU lets the gradient through, by either gate.
TEST(BatchNorm, NaNOpensTheGateOfTheRelu) {
  const cpu::BatchNormShape shape{3, 1, false, true, 1e-5f, 0.1f};
  const std::vector<float> x{1, 2, 6}, dy{1, 10, 100}, mean{3}, rstd{0.5f}, y(3, NAN), nan{NAN};
  std::vector<float> dx(3), dresidual(3), dgamma(1), dbeta(1);
  std::vector<std::byte> scratch(shape.scratch_bytes());
  const auto backward = [&](const float* output, float* residual) {
    dbeta[0] = 0;
    cpu::batch_norm_backward<float>(shape,
                                    {dy.data(), x.data(), output, nan.data(), nullptr, mean.data(), rstd.data(),
                                     dx.data(), residual, dgamma.data(), dbeta.data()},
                                    scratch.data(), 1);
    EXPECT_EQ(dbeta[0], 111);
    EXPECT_TRUE(std::isnan(dx[0]));
  };
  backward(nullptr, nullptr);  // from x * NaN
  backward(y.data(), dresidual.data());
  EXPECT_EQ(dresidual, dy);
}

}  // namespace
}  // namespace winnow::test
