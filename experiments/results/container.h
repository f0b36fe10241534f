// What trial and survey files share: a check sum behind the HDF5 content, version checks, AnnData
// encodings of tables and dictionaries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/results/hdf5.h"
#include "experiments/trial.h"

namespace winnow {

class Files;

// Appends what HDF5 readers ignore: `note`, one line of JSON for those who need only that, and 24
// bytes with lengths and the CRC-32 of all before. Damage is found before the HDF5 library sees a single damaged byte.
std::vector<std::byte> sealed(std::vector<std::byte> image, const std::string& note = "{}");
// What goes behind an image of `size` bytes that lies elsewhere, and behind which `appendix` comes first.
std::vector<std::byte> seal_behind(std::uint64_t size, std::uint32_t crc, std::vector<std::byte> appendix,
                                   const std::string& note);
inline constexpr std::size_t kNoteReach = 4096;

// Whole: the bytes are those that were written. Absent: the seal is gone, as after another program opened the file
// for writing, so the content has to be judged. Broken: the bytes do not match the seal.
enum class Seal { Whole, Absent, Broken };
struct Unsealed {
  Seal seal = Seal::Absent;
  std::span<const std::byte> image;  // the HDF5 content
  std::string note;                  // where the seal is not absent
};
Unsealed unsealed(std::span<const std::byte> bytes);
// Is a file, which is read in parts, the one that was written?
bool seal_holds(Files& files, const std::filesystem::path& path);
// Of its first `size` bytes, or all that it has.
struct FileSum {
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
};
FileSum crc32_of_file(Files& files, const std::filesystem::path& path, std::uint64_t size = ~std::uint64_t{0});
// The note alone, from the end of a file of `file_size` bytes; nothing where the seal is absent.
std::optional<std::string> note_of(std::span<const std::byte> end, std::uint64_t file_size);

// A block of bytes right before the note, which says its length and check sum.
struct Appendix {
  std::size_t bytes = 0;
  std::uint32_t crc = 0;
};
// How much of the end of a file has to be read for it.
std::size_t appendix_reach(const std::string& note, const Appendix& place);
// Nothing where it is not in these bytes, or does not match its check sum.
std::optional<std::span<const std::byte>> appendix_in(std::span<const std::byte> end, const std::string& note,
                                                      const Appendix& place);

// What a kind of container is, and how the digest over all of it that counts is worked out.
struct ContainerKind {
  const char* schema;  // "winnow-trial"
  int major;
  std::string (*content_digest)(const Hdf5File& file);
};
// A whole file, or one without a seal whose content matches its attribute `content_digest`. Error{Input} for damage.
Hdf5File open_container(std::span<const std::byte> bytes, const std::string& label, const ContainerKind& kind,
                        std::size_t largest = Hdf5File::kLargestSum);
// Another major version than `major` is Error{Settings}.
void check_version(const std::string& version, int major, const std::string& label);

void set_encoding(Hdf5File& file, const std::string& path, const std::string& type, const std::string& version);
// What a column says of itself: all of `about` but its values.
void set_column(Hdf5File& file, const std::string& place, const Column& about);
// The rest of a categorical column, a group whose `codes` were written.
void write_categories(Hdf5File& file, const std::string& place, const std::vector<std::string>& categories);
// Of a group whose columns were written; the first is the index.
void set_table(Hdf5File& file, const std::string& path, const std::vector<std::string>& columns);
// AnnData data frame. `categorical`: text columns are stored as codes and categories.
void write_table(Hdf5File& file, const std::string& path, const Table& table, bool categorical = false);
// Values: without units, descriptions and modes, which cost more to read than a short column.
enum class TableDetail { All, Values };
Table read_table(const Hdf5File& file, const std::string& path, TableDetail detail = TableDetail::All);
void write_dictionary(Hdf5File& file, const std::string& path, const std::map<std::string, std::string>& entries);
std::map<std::string, std::string> read_dictionary(const Hdf5File& file, const std::string& path);

// What a column is called in its file.
std::string member(std::string name);
std::size_t rows_of(const Table& table);
const Column* find_column(const Table& table, const std::string& name);

// Quantities the machine decides and not the trial: times, rank count, bytes sent, memory.
bool is_measured(const std::string& name, const std::string& unit);

}  // namespace winnow
