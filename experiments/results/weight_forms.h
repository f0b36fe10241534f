// How one weight tensor is stored: the forms of docs/formats.md, their size on disk, the choice
// among them, and the way back. Every form gives back the exact bits; a CRC-32 of the dense tensor
// is stored and checked.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "experiments/results/hdf5.h"
#include "experiments/trial.h"

namespace winnow {

enum class WeightForm : std::uint8_t { Dense, Csr, Bitmask, SignMask, Seed, Overlay, Own, None };
// Those that are worked out for every tensor; Own is what a method made (WeightRecord::encoded).
inline constexpr std::array kStoredForms = {WeightForm::Dense,    WeightForm::Csr,  WeightForm::Bitmask,
                                            WeightForm::SignMask, WeightForm::Seed, WeightForm::Overlay};
const char* name_of(WeightForm);      // "dense", "csr", ... in /layers and in save.weights.form
const char* encoding_of(WeightForm);  // "array", "csr_matrix", "winnow-bitmask", ...; of Own: "winnow-" and its kind

// Everything the forms need to know of one tensor, worked out once.
class WeightForms {
 public:
  explicit WeightForms(const WeightRecord& weight);

  // Bytes on disk after filters; nothing if the tensor cannot be stored that way exactly.
  std::optional<std::int64_t> bytes(WeightForm form) const;
  bool possible(WeightForm form) const;
  // `wanted` is the text of save.weights.form. auto: the method's own form if it has one, CSR for a pruned tensor and dense for any
  // other, unless another form saves 20 % and 4 KiB. A form that cannot hold the tensor exactly gives way to auto.
  WeightForm choose(const std::string& wanted) const;
  void write(Hdf5File& file, const std::string& path, WeightForm form) const;
  std::int64_t kept() const { return kept_count_; }

 private:
  struct Csr {
    std::vector<float> data;
    std::vector<std::int64_t> columns, starts;
    bool wide = false;  // 8-byte indices
  };
  Csr csr(const std::vector<std::uint8_t>& chosen) const;
  static std::int64_t index_bytes(const Csr& part);
  std::int64_t own_bytes() const;
  void write_own(Hdf5File& file, const std::string& path) const;
  void write_csr(Hdf5File& file, const std::string& path, const Csr& part) const;
  void write_seed(Hdf5File& file, const std::string& path) const;

  const WeightRecord& weight_;
  std::int64_t rows_ = 1, columns_ = 1, kept_count_ = 0;
  std::vector<float> values_;        // zero where the mask is
  std::vector<std::uint8_t> kept_;   // by mask, or by value where there is none
  std::vector<float> base_;          // regenerated initial values, empty if there is no seed
  std::vector<std::uint8_t> patch_;  // entries that differ from base_ or were trained
  bool is_base_ = false, kept_is_base_ = false, one_magnitude_ = false;
  // That of the dense form is worked out when somebody asks: where no other form is possible it is written first, and then known.
  mutable std::array<std::optional<std::int64_t>, kStoredForms.size()> bytes_;
};

// Back to dense. Damage and a wrong check sum are Error{Input}. `keep` is empty where the form has no mask.
WeightRecord read_weight(const Hdf5File& file, const std::string& group, const std::string& name);

}  // namespace winnow
