#include "tests/core/device_cases.h"

#include "tests/core/op_trial.h"

namespace winnow::test {
namespace {

DeviceCase layer(const Shape& x, const Shape& w, std::int64_t stride, std::int64_t pad, std::int64_t groups) {
  return {
      "conv2d",
      {.label = "more", .in = {{x}, {w}, {{w[0]}}}, .attrs = {{"stride", stride}, {"pad", pad}, {"groups", groups}}}};
}
DeviceCase linear(std::int64_t rows, std::int64_t in, std::int64_t out) {
  return {"linear", {.label = "more", .in = {{{rows, in}}, {{out, in}}, {{out}}}}};
}
DeviceCase pool(const char* op, const Shape& x, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  return {op, {.label = "more", .in = {{x}}, .attrs = {{"kernel", kernel}, {"stride", stride}, {"pad", pad}}}};
}

}  // namespace

bool has_own_kernel(const OpDef& op) { return static_cast<bool>(op.kernel.cuda); }

std::ostream& operator<<(std::ostream& stream, const DeviceCase& c) {
  return stream << c.op << ", '" << c.example.label << "'";
}

DeviceCase norm_case(const Shape& x, bool running, bool relu, bool residual) {
  const Shape c{x[-1]};
  DeviceCase made{
      "batch_norm",
      {.label = "more",
       .in = {{x}, {c}, {c}, {c}, {c}},
       .attrs = {{"eps", 1e-3}, {"momentum", 0.1}, {"running", std::int64_t{running}}, {"relu", std::int64_t{relu}}},
       .differentiable = {0, 1, 2},
       .low = running ? 0.1 : -1}};
  if (residual) {
    made.example.in.push_back({x});
    made.example.differentiable.push_back(5);
  }
  return made;
}
DeviceCase wavelet_case(const Shape& x, const char* variant, const std::vector<std::int64_t>& bands) {
  return {"wavelet_dropout",
          {.label = "more", .in = {{x}}, .attrs = {{"p", 0.5}, {"variant", std::string(variant)}, {"bands", bands}}}};
}

// Those of the ops, and odd channels, many rows, and strides, pads and groups of every kind.
std::vector<DeviceCase> device_cases() {
  std::vector<DeviceCase> cases;
  for (const OpCase& c : all_op_cases()) {
    if (has_own_kernel(find_op(c.op))) cases.push_back({c.op, c.example()});
  }
  const DeviceCase more[] = {layer({1, 1, 1, 1}, {1, 1, 1, 1}, 1, 0, 1),
                             layer({2, 9, 8, 3}, {17, 3, 3, 3}, 2, 1, 1),
                             layer({2, 7, 7, 17}, {100, 17, 1, 1}, 1, 0, 1),
                             layer({1, 5, 6, 100}, {3, 100, 3, 2}, 1, 1, 1),
                             layer({2, 11, 9, 12}, {20, 3, 5, 4}, 3, 2, 4),
                             layer({2, 7, 7, 17}, {34, 1, 3, 3}, 1, 1, 17),
                             layer({5, 32, 32, 3}, {4, 3, 3, 3}, 1, 1, 1),
                             linear(1, 1, 1),
                             linear(33, 17, 100),
                             linear(4500, 3, 2),
                             norm_case({1, 7}, false, false, false),
                             norm_case({9, 5, 5, 1}, false, true, true),
                             norm_case({20000, 3}, false, true, false),
                             norm_case({5000, 17}, false, true, true),
                             norm_case({66000, 1}, false, false, false),
                             norm_case({33, 100}, true, true, true),
                             norm_case({33, 100}, true, true, false),
                             pool("max_pool2d", {2, 9, 7, 17}, 3, 1, 1),
                             pool("max_pool2d", {1, 11, 11, 3}, 5, 2, 2),
                             pool("max_pool2d", {2, 8, 8, 1}, 2, 3, 0),
                             pool("avg_pool2d", {2, 9, 7, 17}, 3, 1, 1),
                             pool("avg_pool2d", {1, 11, 11, 100}, 5, 2, 2),
                             pool("avg_pool2d", {2, 8, 8, 1}, 2, 3, 0),
                             {"global_avg_pool", {.label = "more", .in = {{{3, 7, 9, 17}}}}},
                             {"matmul", {.label = "more", .in = {{{2, 17, 100}}, {{2, 100, 3}}}}},
                             wavelet_case({3, 9, 7, 17}, "1d", {1, 3}),
                             wavelet_case({2, 1, 1, 3}, "1d", {1, 2, 3}),
                             wavelet_case({3, 9, 7, 17}, "2d", {2, 3}),
                             wavelet_case({1, 16, 16, 100}, "2d", {1, 2, 3})};
  cases.insert(cases.end(), std::begin(more), std::end(more));
  return cases;
}

}  // namespace winnow::test
