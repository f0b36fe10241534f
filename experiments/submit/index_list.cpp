#include "experiments/submit/index_list.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

namespace winnow {

std::string index_list(std::span<const int> indices) {
  std::string text;
  for (std::size_t i = 0; i < indices.size();) {
    std::size_t last = i;
    while (last + 1 < indices.size() && indices[last + 1] == indices[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ",", indices[i]);
    if (last > i) text += fmt::format("-{}", indices[last]);
    i = last + 1;
  }
  return text;
}

std::vector<int> read_index_list(const std::string& text) {
  constexpr int kMostIndex = 1'000'000;
  std::vector<int> indices;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    int first = 0;
    auto read = std::from_chars(at, end, first);
    int last = first;
    if (read.ec == std::errc() && read.ptr != end && *read.ptr == '-') read = std::from_chars(read.ptr + 1, end, last);
    if (read.ec != std::errc() || first < 0 || last < first || last > kMostIndex) return {};
    if (!indices.empty() && first <= indices.back()) return {};
    for (int index = first; index <= last; ++index) indices.push_back(index);
    if (read.ptr != end && (*read.ptr != ',' || read.ptr + 1 == end)) return {};
    at = read.ptr == end ? end : read.ptr + 1;
  }
  return indices;
}

std::vector<ShardArray> split_shards(std::span<const int> shards, std::int64_t array_size, std::int64_t tasks) {
  std::vector<ShardArray> arrays;
  for (const int shard : shards) {
    const bool fits = !arrays.empty() && shard - arrays.back().offset < array_size &&
                      static_cast<std::int64_t>(arrays.back().indices.size()) < tasks;
    if (!fits) arrays.push_back({.offset = shard, .indices = {}});
    arrays.back().indices.push_back(shard - arrays.back().offset);
  }
  // The first needs no offset where its indices fit without.
  if (!arrays.empty() && arrays[0].offset + arrays[0].indices.back() < array_size) {
    for (int& index : arrays[0].indices) index += arrays[0].offset;
    arrays[0].offset = 0;
  }
  return arrays;
}

}  // namespace winnow
