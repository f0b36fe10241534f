#include "core/encoded.h"

#include <algorithm>

#include "core/codebook.h"
#include "core/error.h"

namespace winnow {

const std::vector<Encoding>& encodings() {
  static const std::vector<Encoding> all = {codebook_encoding()};
  return all;
}

const Encoding* find_encoding(std::string_view kind) {
  const auto found = std::ranges::find(encodings(), kind, &Encoding::kind);
  return found == encodings().end() ? nullptr : &*found;
}

std::vector<float> decode(const Encoded& encoded, const Shape& shape, std::span<const std::uint8_t> keep) {
  const Encoding* encoding = find_encoding(encoded.kind);
  if (encoding == nullptr) fail(ErrorKind::Input, "has the unknown form '{}'", encoded.kind);
  std::vector<float> kept = encoding->decode(encoded, shape, keep);
  if (keep.empty()) return kept;
  std::vector<float> values(keep.size(), 0.0f);
  for (std::size_t i = 0, next = 0; i < keep.size(); ++i) {
    if (keep[i] != 0) values[i] = kept[next++];
  }
  return values;
}

}  // namespace winnow
