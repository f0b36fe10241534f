// What a survey needs of a result, a second time and in a form that is quick to read: it lies in the result file behind
// the HDF5 content (docs/formats.md), whose library takes a hundred times as long for the many small objects. Never the
// only place of anything: a file without a record, or with one that is not understood, is read by its HDF5 content.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/results/container.h"
#include "experiments/results/files.h"
#include "experiments/results/trial_file.h"

namespace winnow {

// Without weights, step and event tables, units and descriptions of columns, and what no survey shows of the provenance.
std::vector<std::byte> encode_record(const ReadTrial& trial);
// Error{Input}, naming `label`, for what encode_record did not make; whatever the bytes are, no more is taken than they have.
ReadTrial decode_record(std::span<const std::byte> bytes, const std::string& label);

std::string note_with_record(const std::string& note, std::span<const std::byte> record);
std::optional<Appendix> record_place(const std::string& note);
// That of a whole file. Error{Input} where it does not match its check sum; nothing: it has none.
std::optional<ReadTrial> record_in(std::span<const std::byte> file, const std::string& label);
// Reads no more of the file than that takes. Nothing: the file has to be read whole, for whatever reason.
std::optional<ReadTrial> read_record(Files& files, const std::filesystem::path& path);

// Does a survey take this entry of the provenance?
bool is_in_survey(std::string_view provenance);

}  // namespace winnow
