#include "core/codebook.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"

namespace winnow {
namespace {

constexpr double kMostLevels = 1 << 16;

template <class T>
const std::vector<T>& array(const Encoded& encoded, const char* name) {
  const auto found = encoded.arrays.find(name);
  const auto* values = found == encoded.arrays.end() ? nullptr : std::get_if<std::vector<T>>(&found->second);
  if (values == nullptr) fail(ErrorKind::Input, "has no array '{}'", name);
  return *values;
}

// Code i lies at bit i * width of a stream, the lowest bit first.
std::vector<std::uint8_t> packed(std::span<const std::uint32_t> codes, std::int64_t width) {
  std::vector<std::uint8_t> bytes((codes.size() * static_cast<std::size_t>(width) + 7) / 8, 0);
  std::size_t at = 0;
  for (const std::uint32_t code : codes) {
    for (std::int64_t bit = 0; bit < width; ++bit, ++at) {
      bytes[at / 8] = static_cast<std::uint8_t>(bytes[at / 8] | ((code >> bit & 1u) << at % 8));
    }
  }
  return bytes;
}

std::vector<float> decode_codebook(const Encoded& encoded, const Shape& shape, std::span<const std::uint8_t> keep) {
  const auto& bytes = array<std::uint8_t>(encoded, "codes");
  const auto& table = array<float>(encoded, "table");
  const auto given = encoded.attributes.find("levels");
  const double number = given == encoded.attributes.end() ? 0 : given->second;
  if (!(number >= 1 && number <= kMostLevels) || number != std::floor(number)) {
    fail(ErrorKind::Input, "has an impossible number of levels");
  }
  const auto levels = static_cast<std::size_t>(number), entries = static_cast<std::size_t>(shape.numel());
  const std::size_t parts = table.size() / levels;
  if (parts == 0 || table.size() % levels != 0 || entries % parts != 0) {
    fail(ErrorKind::Input, "has a table that does not fit its shape");
  }
  const auto width = static_cast<std::size_t>(code_width(static_cast<std::int64_t>(levels)));
  const std::size_t kept = keep.empty() ? entries : keep.size() - static_cast<std::size_t>(std::ranges::count(keep, 0));
  if (bytes.size() != (kept * width + 7) / 8) fail(ErrorKind::Input, "has the wrong number of codes");
  std::vector<float> values;
  values.reserve(kept);
  const std::size_t part_size = std::max<std::size_t>(entries / parts, 1);
  std::size_t at = 0;
  for (std::size_t i = 0; i < entries; ++i) {
    if (!keep.empty() && keep[i] == 0) continue;
    std::size_t code = 0;
    for (std::size_t bit = 0; bit < width; ++bit, ++at) code |= std::size_t{bytes[at / 8] >> at % 8 & 1u} << bit;
    if (code >= levels) fail(ErrorKind::Input, "has a code that its table does not have");
    values.push_back(table[i / part_size * levels + code]);
  }
  return values;
}

}  // namespace

std::int64_t code_width(std::int64_t levels) {
  return levels < 2 ? 0 : static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(levels - 1)));
}

Encoded codebook(std::span<const std::uint32_t> codes, std::vector<float> table, std::int64_t levels) {
  const std::int64_t width = code_width(levels);
  Encoded encoded{.kind = "codebook"};
  encoded.bits = width * std::ssize(codes) + 32 * std::ssize(table);
  encoded.attributes["levels"] = static_cast<double>(levels);
  encoded.arrays["codes"] = packed(codes, width);
  encoded.arrays["table"] = std::move(table);
  return encoded;
}

Encoding codebook_encoding() {
  return {.kind = "codebook",
          .attributes = {"levels"},
          .byte_arrays = {"codes"},
          .float_arrays = {"table"},
          .decode = decode_codebook};
}

}  // namespace winnow
