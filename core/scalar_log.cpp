#include "core/scalar_log.h"

#include "core/error.h"
#include "kernels/for_each.h"
#include "kernels/functors/gather_scalars.h"

namespace winnow {

Memory scalar_places(const Program& program, std::span<const ValueId> scalars) {
  std::vector<ScalarPlace> places;
  for (const ValueId id : scalars) {
    const TensorView view = program.view(id);
    if (view.numel() != 1 || (view.dtype != DType::F32 && view.dtype != DType::I32)) {
      fail(ErrorKind::Internal, "a value of {} {} is no scalar that can be logged", view.numel(), name_of(view.dtype));
    }
    places.push_back({view.data, view.dtype == DType::F32 ? ScalarPlace::Type::F32 : ScalarPlace::Type::I32});
  }
  const auto bytes = std::as_bytes(std::span(places));
  Memory table(program.context().stream(), bytes.size());
  program.context().write(table.get(), bytes.data(), bytes.size());
  return table;
}

ScalarLog::ScalarLog(const Program& program, std::span<const ValueId> scalars, std::size_t rows)
    : context_(program.context()),
      columns_(scalars.size() + 1),
      most_(rows),
      places_(scalar_places(program, scalars)),
      values_(context_.stream(), most_ * columns_ * sizeof(float)),
      next_(context_.stream(), sizeof(std::uint32_t)) {}

void ScalarLog::restart() {
  const std::uint32_t none = 0;
  context_.write(next_.get(), &none, sizeof none);
  rows_ = 0;
}

void ScalarLog::join(Program::Beside& beside) const {
  const auto& stream = context_.stream();
  const Exec exec{.device = context_.device(), .stream = stream ? stream->queue() : nullptr};
  const LogScalars log{{reinterpret_cast<const ScalarPlace*>(places_.get()), static_cast<std::int64_t>(columns_) - 1,
                        context_.state(), row(0)},
                       reinterpret_cast<std::uint32_t*>(next_.get())};
  beside.after = [exec, log] { for_each(exec, 1, log); };
  beside.places.insert(beside.places.end(), {places_.get(), values_.get(), next_.get()});
}

std::vector<float> ScalarLog::take() {
  std::vector<float> values(rows_ * columns_);
  context_.read(values.data(), row(0), values.size() * sizeof(float));
  restart();
  return values;
}

std::vector<float> ScalarLog::last() const {
  std::vector<float> values(columns_);
  context_.read(values.data(), row(rows_ - 1), values.size() * sizeof(float));
  return values;
}

void ScalarLog::replace_last(std::span<const float> values) {
  context_.write(row(rows_ - 1), values.data(), values.size_bytes());
}

}  // namespace winnow
