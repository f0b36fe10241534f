// A long table on its way to its survey file: what memory has no room for is written as it comes, in columns that grow; a
// short table in one piece. Keeps no file open. Not synchronised.
#pragma once

#include <cstddef>
#include <string>

#include "experiments/results/hdf5.h"
#include "experiments/results/long_table.h"

namespace winnow {

class TableInParts {
 public:
  explicit TableInParts(std::string path) : path_(std::move(path)) {}
  // Is there enough to be written?
  static bool is_full(const LongTable& table) {
    return table.rows() >= kRows || table.rows() * table.columns().size() >= kCells;
  }
  // Moves what there is from `table` to the file.
  void write(Hdf5File& file, LongTable& table);
  // The rest, and what the columns are.
  void finish(Hdf5File& file, const LongTable& table) const;

 private:
  static constexpr std::size_t kRows = std::size_t{1} << 16, kCells = std::size_t{1} << 22;
  void put_all(Hdf5File& file, const LongTable& table, bool whole) const;
  void put(Hdf5File& file, const std::string& place, const LongTable::LongColumn& column, bool whole) const;

  std::string path_;
  std::size_t written_ = 0;
};

}  // namespace winnow
