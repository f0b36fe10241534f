// Indices of an array as sbatch writes them, and how the shards of a sweep become arrays. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace winnow {

// Of ascending numbers: "0-3,7".
std::string index_list(std::span<const int> indices);
// Empty for what is no such list.
std::vector<int> read_index_list(const std::string& text);

// One array: `indices` counted from shard `offset`.
struct ShardArray {
  int offset = 0;
  std::vector<int> indices;
};
// Ascending shards as few arrays: no index reaches `array_size`, and none has more than `tasks` of them.
std::vector<ShardArray> split_shards(std::span<const int> shards, std::int64_t array_size, std::int64_t tasks);

}  // namespace winnow
