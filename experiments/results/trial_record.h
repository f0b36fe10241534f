// What a survey needs of a result, a second time and in a form that is quick to read: it lies in the result file behind
// the HDF5 content (docs/formats.md), whose library takes a hundred times as long for the many small objects. Never the
// only place of anything: a file without a record, or with one that is not understood, is read by its HDF5 content.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/state.h"
#include "experiments/results/container.h"
#include "experiments/results/files.h"
#include "experiments/results/trial_file.h"

namespace winnow {

// A record where it lies: all but the header refers to its bytes, since taking a hundred thousand of them apart into small
// texts would be most of the work. In the order of the record, of which a stranger's may have a name twice.
struct TrialRecord {
  using Entry = std::pair<std::string_view, std::string_view>;
  struct Values {
    std::string_view name;
    BlockType type = BlockType::U8;  // F64, I64, or texts, each with a zero behind it
    std::span<const std::byte> bytes;
  };
  struct Rows {
    std::vector<Values> columns;
    std::size_t count = 0;
  };
  TrialRecord() = default;
  TrialRecord(TrialRecord&&) noexcept = default;
  TrialRecord& operator=(TrialRecord&&) noexcept = default;

  std::vector<std::byte> bytes;
  TrialHeader header;
  std::string_view canonical;
  std::vector<Entry> settings, provenance, lineage;
  std::vector<std::pair<std::string_view, double>> summary;
  Rows epochs, layers;
};
// Calls `each` with the texts of a block. Error{Input} where the last one has no end.
template <class Each>
void for_each_text(std::span<const std::byte> block, const Each& each) {
  const std::string_view all(reinterpret_cast<const char*>(block.data()), block.size());
  std::size_t at = 0;
  for (std::size_t end; (end = all.find('\0', at)) != std::string_view::npos; at = end + 1) {
    each(all.substr(at, end - at));
  }
  if (at != all.size()) fail(ErrorKind::Input, "the last text of a list has no end");
}

// Without weights, step and event tables, units and descriptions of columns, and what no survey shows of the provenance.
std::vector<std::byte> encode_record(const ReadTrial& trial);
// Error{Input}, naming `label`, for what encode_record did not make; whatever the bytes are, no more is taken than they have.
ReadTrial decode_record(std::span<const std::byte> bytes, const std::string& label);
// The same; `record` lies in `bytes`.
TrialRecord view_record(std::vector<std::byte> bytes, std::span<const std::byte> record, const std::string& label);

std::string note_with_record(const std::string& note, std::span<const std::byte> record);
std::optional<Appendix> record_place(const std::string& note);
// That of a whole file. Error{Input} where it does not match its check sum; nothing: it has none.
std::optional<ReadTrial> record_in(std::span<const std::byte> file, const std::string& label);
// Reads no more of the file than that takes. Nothing: the file has to be read whole, for whatever reason.
std::optional<TrialRecord> read_record(Files& files, const std::filesystem::path& path);

// Of many files, from their records or else their content. By several threads and processes, some hundred at a time; `take`
// and `failed` are called here, in order.
void read_records(Files& files, std::span<const std::filesystem::path> paths,
                  const std::function<void(std::size_t, const TrialRecord&)>& take,
                  const std::function<void(std::size_t, const Error&)>& failed);

// Does a survey take this entry of the provenance?
bool is_in_survey(std::string_view provenance);

}  // namespace winnow
