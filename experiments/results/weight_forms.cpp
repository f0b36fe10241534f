#include "experiments/results/weight_forms.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "experiments/accounting/entry_counts.h"
#include "experiments/data/digest.h"

namespace winnow {
namespace {

constexpr std::int64_t kSeedBytes = 64;    // generator, key, distribution and check values
constexpr double kWorthwhile = 0.8;        // another form must save 20 %
constexpr double kWorthwhileBytes = 4096;  // and more than its own headers may cost

template <class T>
std::span<const std::byte> raw(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<std::int32_t> narrow(const std::vector<std::int64_t>& values) { return {values.begin(), values.end()}; }

std::vector<std::uint8_t> packed(const std::vector<std::uint8_t>& bits) {
  std::vector<std::uint8_t> bytes((bits.size() + 7) / 8, 0);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] != 0) bytes[i / 8] = static_cast<std::uint8_t>(bytes[i / 8] | (1u << (i % 8)));
  }
  return bytes;
}

std::vector<float> chosen_of(const std::vector<float>& values, const std::vector<std::uint8_t>& chosen) {
  std::vector<float> kept;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (chosen[i] != 0) kept.push_back(values[i]);
  }
  return kept;
}

std::vector<std::uint8_t> signs_of(const std::vector<float>& values) {
  std::vector<std::uint8_t> signs(values.size());
  std::transform(values.begin(), values.end(), signs.begin(), [](float v) { return std::signbit(v) ? 1 : 0; });
  return signs;
}

void set_encoding(Hdf5File& file, const std::string& path, const char* type, const char* version) {
  file.set(path, "encoding-type", type);
  file.set(path, "encoding-version", version);
}

// As bits, since an attribute takes 64 KiB at most.
void write_left(Hdf5File& file, const std::string& path, const WeightRecord& weight) {
  if (weight.left.empty()) return;
  file.set(path, "whole_shape", std::vector<std::int64_t>(weight.whole.begin(), weight.whole.end()));
  for (std::size_t dim = 0; dim < weight.left.size(); ++dim) {
    if (weight.left[dim].empty()) continue;
    std::vector<std::int64_t> words(static_cast<std::size_t>((weight.whole[static_cast<int>(dim)] + 31) / 32), 0);
    for (const std::int64_t i : weight.left[dim])
      words[static_cast<std::size_t>(i / 32)] |= std::int64_t{1} << (i % 32);
    file.set(path, fmt::format("left_{}", dim), words);
  }
}

}  // namespace

const char* name_of(WeightForm form) {
  switch (form) {
    case WeightForm::Dense:
      return "dense";
    case WeightForm::Csr:
      return "csr";
    case WeightForm::Bitmask:
      return "bitmask";
    case WeightForm::SignMask:
      return "signmask";
    case WeightForm::Seed:
      return "seed";
    case WeightForm::Overlay:
      return "overlay";
    case WeightForm::Own:
      return "own";
    case WeightForm::None:
      return "none";
  }
  return "unknown";
}

const char* encoding_of(WeightForm form) {
  switch (form) {
    case WeightForm::Dense:
      return "array";
    case WeightForm::Csr:
      return "csr_matrix";
    case WeightForm::Bitmask:
      return "winnow-bitmask";
    case WeightForm::SignMask:
      return "winnow-signmask";
    case WeightForm::Seed:
      return "winnow-seed";
    case WeightForm::Overlay:
      return "winnow-overlay";
    case WeightForm::Own:
      return "winnow-";
    case WeightForm::None:
      return "none";
  }
  return "unknown";
}

WeightForms::WeightForms(const WeightRecord& weight) : weight_(weight), values_(weight.values) {
  const auto count = static_cast<std::size_t>(weight.shape.numel());
  const auto fits = [count](std::size_t size) { return size == 0 || size == count; };
  if (values_.size() != count || !fits(weight.keep.size()) || !fits(weight.train.size())) {
    fail(ErrorKind::Internal, "weight {}: values or masks do not match its shape {}", weight.name, weight.shape.text());
  }
  rows_ = weight.shape.rank() >= 2 ? weight.shape[0] : 1;
  columns_ = rows_ == 0 ? 0 : weight.shape.numel() / rows_;
  kept_ = weight.keep;
  // Without a mask the zeros of a prunable tensor are read as pruned. Those of a bias or a statistic are values: its
  // mask, written and read back, would say that somebody pruned it.
  if (kept_.empty()) {
    kept_.assign(count, 1);
    for (std::size_t i = 0; i < count && weight.prunable; ++i) kept_[i] = std::bit_cast<std::uint32_t>(values_[i]) != 0;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (kept_[i] == 0) values_[i] = 0;
    kept_count_ += kept_[i] != 0;
  }

  if (weight.seeded) {
    base_.resize(count);
    generate(weight.seeded->spec, weight.seeded->key, base_);
    patch_.resize(count);
    is_base_ = kept_is_base_ = true;
    for (std::size_t i = 0; i < count; ++i) {
      const bool same = same_bits(values_[i], base_[i]);
      is_base_ = is_base_ && same;
      kept_is_base_ = kept_is_base_ && (same || kept_[i] == 0);
      patch_[i] = !same || (!weight.train.empty() && weight.train[i] != 0);
    }
  }
  const auto first = static_cast<std::size_t>(std::find(kept_.begin(), kept_.end(), 1) - kept_.begin());
  one_magnitude_ = first < count;
  for (std::size_t i = first; i < count && one_magnitude_; ++i) {
    one_magnitude_ = kept_[i] == 0 || same_bits(std::fabs(values_[i]), std::fabs(values_[first]));
  }

  const auto size_of = [this](WeightForm form) -> std::optional<std::int64_t>& {
    return bytes_[static_cast<std::size_t>(form)];
  };
  if (is_base_) size_of(WeightForm::Seed) = kSeedBytes;
  const auto patched = std::count(patch_.begin(), patch_.end(), 1);
  if (!base_.empty() && !is_base_ && patched * 2 < static_cast<std::int64_t>(count)) {
    const Csr part = csr(patch_);
    size_of(WeightForm::Overlay) = kSeedBytes + filtered_size(raw(part.data), 4) + index_bytes(part);
  }
  // A tensor without zeros gains nothing from a mask, unless it is all signs.
  if (kept_count_ == static_cast<std::int64_t>(count) && !one_magnitude_) return;
  const std::int64_t mask = filtered_size(raw(packed(kept_)), 1);
  const Csr part = csr(kept_);
  const std::int64_t data = filtered_size(raw(part.data), 4);
  size_of(WeightForm::Csr) = data + index_bytes(part);
  size_of(WeightForm::Bitmask) = data + mask;
  if (kept_is_base_) {
    size_of(WeightForm::SignMask) = mask + kSeedBytes;
  } else if (one_magnitude_) {
    size_of(WeightForm::SignMask) = mask + filtered_size(raw(packed(signs_of(part.data))), 1) + 4;
  }
}

std::int64_t WeightForms::own_bytes() const {
  std::int64_t size = weight_.keep.empty() ? 0 : filtered_size(raw(packed(weight_.keep)), 1);
  for (const auto& [name, array] : weight_.encoded->arrays) {
    size += std::visit([](const auto& values) { return filtered_size(raw(values), sizeof(values[0])); }, array);
  }
  return size;
}

std::optional<std::int64_t> WeightForms::bytes(WeightForm form) const {
  if (form == WeightForm::None) return 0;
  if (form == WeightForm::Own) return weight_.encoded ? std::optional(own_bytes()) : std::nullopt;
  if (form == WeightForm::Dense && !bytes_[0]) {
    bytes_[0] = filtered_size(values_, {weight_.shape.begin(), weight_.shape.end()});
  }
  return bytes_[static_cast<std::size_t>(form)];
}

bool WeightForms::possible(WeightForm form) const {
  if (form == WeightForm::Dense || form == WeightForm::None) return true;
  if (form == WeightForm::Own) return weight_.encoded.has_value();
  return bytes_[static_cast<std::size_t>(form)].has_value();
}

WeightForm WeightForms::choose(const std::string& wanted) const {
  if (wanted == "none") return WeightForm::None;
  for (const WeightForm form : {WeightForm::Dense, WeightForm::Csr, WeightForm::Bitmask, WeightForm::Seed}) {
    if (wanted == name_of(form) && possible(form)) return form;
  }
  if (wanted == "seed" && possible(WeightForm::Overlay)) return WeightForm::Overlay;
  if (weight_.encoded) return WeightForm::Own;
  const bool pruned = weight_.prunable && kept_count_ < weight_.shape.numel();
  const WeightForm usual = pruned ? WeightForm::Csr : WeightForm::Dense;
  if (std::ranges::count_if(kStoredForms, [this](WeightForm form) { return possible(form); }) == 1) return usual;
  WeightForm best = usual;
  for (const WeightForm form : kStoredForms) {
    if (bytes(form) && *bytes(form) < *bytes(best)) best = form;
  }
  const double now = static_cast<double>(*bytes(usual)), then = static_cast<double>(*bytes(best));
  const bool worthwhile = then <= kWorthwhile * now && now - then >= kWorthwhileBytes;
  return worthwhile ? best : usual;
}

WeightForms::Csr WeightForms::csr(const std::vector<std::uint8_t>& chosen) const {
  Csr part;
  part.starts = {0};
  for (std::int64_t row = 0; row < rows_; ++row) {
    for (std::int64_t column = 0; column < columns_; ++column) {
      const auto i = static_cast<std::size_t>(row * columns_ + column);
      if (chosen[i] == 0) continue;
      part.data.push_back(values_[i]);
      part.columns.push_back(column);
    }
    part.starts.push_back(static_cast<std::int64_t>(part.data.size()));
  }
  part.wide = weight_.shape.numel() > std::numeric_limits<std::int32_t>::max();
  return part;
}

std::int64_t WeightForms::index_bytes(const Csr& part) {
  const auto indices = [&](const std::vector<std::int64_t>& values) {
    return part.wide ? filtered_size(raw(values), 8) : filtered_size(raw(narrow(values)), 4);
  };
  return indices(part.columns) + indices(part.starts);
}

void WeightForms::write_csr(Hdf5File& file, const std::string& path, const Csr& part) const {
  file.make_group(path);
  set_encoding(file, path, "csr_matrix", "0.1.0");
  file.set(path, "shape", std::vector<std::int64_t>{rows_, columns_});
  file.write<float>(path + "/data", part.data);
  if (part.wide) {
    file.write<std::int64_t>(path + "/indices", part.columns);
    file.write<std::int64_t>(path + "/indptr", part.starts);
  } else {
    file.write<std::int32_t>(path + "/indices", narrow(part.columns));
    file.write<std::int32_t>(path + "/indptr", narrow(part.starts));
  }
  // The same arrays under the names of the binsparse specification.
  file.hard_link(path + "/data", path + "/values");
  file.hard_link(path + "/indices", path + "/indices_1");
  file.hard_link(path + "/indptr", path + "/pointers_to_1");
  const char* width = part.wide ? "int64" : "int32";
  const nlohmann::ordered_json types = {{"pointers_to_1", width}, {"indices_1", width}, {"values", "float32"}};
  const nlohmann::ordered_json about = {{"version", "0.1"},
                                        {"format", "CSR"},
                                        {"shape", {rows_, columns_}},
                                        {"number_of_stored_values", part.data.size()},
                                        {"data_types", types}};
  file.set(path, "binsparse", nlohmann::ordered_json{{"binsparse", about}}.dump());
}

void WeightForms::write_seed(Hdf5File& file, const std::string& path) const {
  const InitSpec& spec = weight_.seeded->spec;
  const RngKey& key = weight_.seeded->key;
  file.make_group(path);
  set_encoding(file, path, "winnow-seed", "1.0");
  file.set(path, "generator", "philox4x32-10");
  file.set(path, "seed", std::to_string(key.seed));
  file.set(path, "stream", static_cast<std::int64_t>(key.stream));
  file.set(path, "step", static_cast<std::int64_t>(key.step));
  file.set(path, "counter", std::int64_t{0});
  file.set(path, "distribution", name_of(spec.kind));
  file.set(path, "value", spec.value);
  file.set(path, "fan_in", spec.fan_in);
  file.set(path, "fan_out", spec.fan_out);
  file.set(path, "check",
           std::vector<float>(base_.begin(), base_.begin() + std::min<std::ptrdiff_t>(8, std::ssize(base_))));
}

void WeightForms::write_own(Hdf5File& file, const std::string& path) const {
  const Encoded& own = *weight_.encoded;
  const std::vector<float> decoded = decode(own, weight_.shape, weight_.keep);
  if (!std::ranges::equal(decoded, values_, same_bits)) {
    fail(ErrorKind::Internal, "weight {} is not what its form '{}' decodes to", weight_.name, own.kind);
  }
  file.make_group(path);
  set_encoding(file, path, (encoding_of(WeightForm::Own) + own.kind).c_str(), "1.0");
  for (const auto& [name, value] : own.attributes) file.set(path, name, value);
  for (const auto& [name, array] : own.arrays) {
    std::visit([&, &member = name]<class T>(
                   const std::vector<T>& values) { file.write<T>(path + "/" + member, std::span<const T>(values)); },
               array);
  }
  if (!weight_.keep.empty()) file.write<std::uint8_t>(path + "/mask", packed(weight_.keep));
}

void WeightForms::write(Hdf5File& file, const std::string& path, WeightForm form) const {
  if (form == WeightForm::None) return;
  if (!possible(form)) fail(ErrorKind::Internal, "weight {} cannot be stored as {}", weight_.name, name_of(form));
  switch (form) {
    case WeightForm::Dense:
      file.write<float>(path, values_, {weight_.shape.begin(), weight_.shape.end()});
      bytes_[0] = file.stored_bytes(path);
      set_encoding(file, path, "array", "0.2.0");
      break;
    case WeightForm::Csr:
      write_csr(file, path, csr(kept_));
      break;
    case WeightForm::Seed:
      write_seed(file, path);
      break;
    case WeightForm::Overlay:
      file.make_group(path);
      set_encoding(file, path, "winnow-overlay", "1.0");
      write_seed(file, path + "/base");
      write_csr(file, path + "/patch", csr(patch_));
      break;
    case WeightForm::Bitmask:
    case WeightForm::SignMask: {
      const auto data = chosen_of(values_, kept_);
      file.make_group(path);
      set_encoding(file, path, encoding_of(form), "1.0");
      file.write<std::uint8_t>(path + "/mask", packed(kept_));
      if (form == WeightForm::Bitmask) {
        file.write<float>(path + "/data", data);
      } else if (kept_is_base_) {
        write_seed(file, path + "/base");
      } else {
        file.write<std::uint8_t>(path + "/sign", packed(signs_of(data)));
        file.set(path, "scale", static_cast<double>(std::fabs(data.at(0))));
      }
      break;
    }
    case WeightForm::Own:
      write_own(file, path);
      break;
    case WeightForm::None:
      break;
  }
  file.set(path, "tensor_shape", std::vector<std::int64_t>(weight_.shape.begin(), weight_.shape.end()));
  file.set(path, "trained", static_cast<std::int32_t>(weight_.trained));
  file.set(path, "prunable", static_cast<std::int32_t>(weight_.prunable));
  file.set(path, "crc32", static_cast<std::int64_t>(crc32_of(raw(values_))));
  write_left(file, path, weight_);
}

}  // namespace winnow
