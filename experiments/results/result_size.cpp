#include "experiments/results/result_size.h"

#include <algorithm>
#include <cmath>

namespace winnow {
namespace {

// Measured on files of LeNet-300 and ResNet-20 of all the forms.
constexpr double kFileBytes = 84'000, kTensorBytes = 860, kGroupBytes = 2'450, kChunkedBytes = 2'100;
constexpr double kFloats = 0.865;        // of trained or drawn f32 values after shuffle and deflate
constexpr double kIndices = 1.45;        // of CSR's columns, over the entropy of the mask
constexpr double kMask = 1.15;           // of a bitmask, over the same
constexpr double kTables = 0.75;         // of columns of numbers
constexpr double kLeastFiltered = 4096;  // bytes
constexpr double kBytesOfSeed = 64;
constexpr double kEpochColumns = 10, kStepColumns = 5;

// Of an array of `raw` bytes whose filters leave `share` of it.
double array_bytes(double raw, double share) {
  return raw < kLeastFiltered ? raw : raw * std::min(1.0, share) + kChunkedBytes;
}

// Bits that say of each entry of a random mask whether it is kept.
double entropy_bits(double kept, double numel) {
  const double d = kept / numel;
  return d <= 0 || d >= 1 ? 0 : -numel * (d * std::log2(d) + (1 - d) * std::log2(1 - d));
}

double mask_bytes(double kept, double numel) {
  return array_bytes(numel / 8, kMask * entropy_bits(kept, numel) / numel);
}

double csr_bytes(double kept, const ForetoldTensor& tensor) {
  const auto numel = static_cast<double>(tensor.numel);
  const double share = kept <= 0 ? 1 : kIndices * entropy_bits(kept, numel) / (32 * kept);
  return kGroupBytes + array_bytes(4 * kept, kFloats) + array_bytes(4 * kept, share) +
         array_bytes(4 * static_cast<double>(tensor.rows + 1), 0.5);
}

double tensor_bytes(const ForetoldTensor& tensor, const std::string& form) {
  if (form == "none") return 0;
  const auto numel = static_cast<double>(tensor.numel), kept = static_cast<double>(tensor.kept);
  const auto drawn = static_cast<double>(tensor.untouched);  // as the seed gives them
  const bool pruned = tensor.kept < tensor.numel, all_drawn = tensor.untouched == tensor.kept;
  const double dense = array_bytes(4 * numel, pruned ? kFloats * kept / numel + 0.05 : kFloats);
  const double bitmask = kGroupBytes + mask_bytes(kept, numel) + array_bytes(4 * kept, kFloats);
  if (form == "dense") return dense;
  if (form == "bitmask" && pruned) return bitmask;
  if (form == "csr" && pruned) return csr_bytes(kept, tensor);
  if (tensor.own_bits >= 0) return kGroupBytes + array_bytes(static_cast<double>(tensor.own_bits) / 8, 1);
  const double usual = pruned ? csr_bytes(kept, tensor) : dense;
  double least = pruned ? std::min(usual, bitmask) : usual;
  if (all_drawn) least = std::min(least, kGroupBytes + kBytesOfSeed + (pruned ? mask_bytes(kept, numel) : 0));
  // What differs from the values of the seed: pruned entries too.
  const double differ = numel - drawn;
  if (drawn > 0 && 2 * differ < numel) least = std::min(least, kGroupBytes + kBytesOfSeed + csr_bytes(differ, tensor));
  // As WeightForms::choose has it.
  return form == "seed" || (least <= 0.8 * usual && usual - least >= 4096) ? least : usual;
}

}  // namespace

double expected_result_bytes(std::span<const ForetoldTensor> tensors, const Settings& settings, const TableRows& rows) {
  const std::string& form = settings.text("save.weights.form");
  double bytes = kFileBytes + kEpochColumns * array_bytes(8 * static_cast<double>(rows.epochs), kTables) +
                 kStepColumns * array_bytes(8 * static_cast<double>(rows.steps), kTables);
  for (const ForetoldTensor& tensor : tensors) bytes += kTensorBytes + tensor_bytes(tensor, form);
  if (settings.text("save.weights.when") == "both") {
    for (ForetoldTensor tensor : tensors) {
      tensor.kept = tensor.numel;
      tensor.own_bits = -1;
      bytes += kTensorBytes + tensor_bytes(tensor, form);
    }
  }
  return bytes;
}

double expected_checkpoint_bytes(std::span<const ForetoldTensor> tensors, std::int64_t slots) {
  double bytes = 0;
  for (const ForetoldTensor& tensor : tensors) {
    const auto masked = static_cast<std::int64_t>(tensor.kept < tensor.numel || tensor.live < tensor.kept);
    bytes += static_cast<double>(tensor.numel * (4 * (1 + (tensor.is_buffer ? 0 : slots)) + masked));
  }
  return bytes;
}

}  // namespace winnow
