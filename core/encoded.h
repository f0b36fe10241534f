// A tensor in a form of a method's own: what its codes cost, what a result file holds of it, and the way back to
// values. A method makes one (Method::encode); training, accounting and result files ask it and decode it alike, so that
// the weights of a result are those that were evaluated. Plain values and pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/shape.h"

namespace winnow {

using EncodedArray = std::variant<std::vector<std::uint8_t>, std::vector<float>>;

struct Encoded {
  std::string kind;                               // the rule that decodes it, one of encodings()
  std::map<std::string, double> attributes = {};  // those that the rule needs, and what else a reader may want to know
  std::map<std::string, EncodedArray> arrays = {};
  std::int64_t bits = 0;  // of codes and side information in theory; which entries are kept is counted apart
};

// A way to decode, and what it reads. Adding one: its function, its line in encoded.cpp, its branch in
// tools/winnow.py and its row in docs/formats.md.
struct Encoding {
  const char* kind;
  std::vector<const char*> attributes, byte_arrays, float_arrays;
  // The values of the kept entries in order. `keep`: one byte an entry, empty: all are kept. Error{Input} saying what
  // does not fit, whatever the arrays hold: they may come from a damaged file.
  std::vector<float> (*decode)(const Encoded& encoded, const Shape& shape, std::span<const std::uint8_t> keep);
};
const std::vector<Encoding>& encodings();
const Encoding* find_encoding(std::string_view kind);  // nothing: there is none of this kind

// All values of the tensor, 0 where `keep` is 0. Error{Input} for a kind that does not exist and what does not fit.
std::vector<float> decode(const Encoded& encoded, const Shape& shape, std::span<const std::uint8_t> keep);

}  // namespace winnow
