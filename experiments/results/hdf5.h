// One HDF5 file held in memory: built object by object and taken as bytes, or opened from bytes for reading. Or one
// on disk that is written in parts, for what is too large for memory. The only part of winnow that knows the HDF5
// library. Objects are named by path ("/metrics/epoch/loss"). Files follow docs/formats.md: format of HDF5 1.8, no
// times, filters only where they pay, so that the same content always gives the same bytes. Reading follows no link
// that leads out of the file, takes no data from outside it and no filter but ours, and stops at kLargestSum;
// whatever else a hostile file does to the library, isolated.h keeps in a child process. The library is not
// reentrant: a lock is held while a file is open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace winnow {

class Sha256;

class Hdf5File {
 public:
  // Filters: arrays of 4 KiB and more are packed, which takes some twenty times as long to write and to read as Plain.
  enum class Storage { Filters, Plain };
  static Hdf5File create(Storage storage = Storage::Filters);
  void store(Storage storage) { storage_ = storage; }  // of what is written from here on
  // On disk: an empty one in the place of the file at `path`, and one to go on with. close() says what the destructor cannot:
  // that not all of it could be written. What the system refuses is Error{Io}, here and in whatever writes.
  static Hdf5File create_at(const std::string& path);
  static Hdf5File reopen(const std::string& path);
  void close();
  // `label` names the file in messages. Anything unreadable is Error{Input}. All that is read of the file may take
  // `largest` bytes decoded: a few KiB of a damaged or hostile file can claim to be any amount.
  static Hdf5File from_bytes(std::span<const std::byte> bytes, std::string label, std::size_t largest = kLargestSum);
  static constexpr std::size_t kLargestSum = std::size_t{1} << 33;
  Hdf5File(Hdf5File&&) noexcept;
  Hdf5File& operator=(Hdf5File&&) = delete;
  ~Hdf5File();

  // With capacity for `room` bytes more, so that a large file is not copied for what comes behind it.
  std::vector<std::byte> bytes(std::size_t room = 0);

  // Writing; missing groups of a path are made. T: float, double, int32_t, int64_t, uint8_t.
  void make_group(const std::string& path);
  template <class T>
  void write(const std::string& path, std::span<const T> values, std::vector<std::int64_t> extents = {});
  // Puts `values` behind the first `before` ones of a column that grows. It is made if it is missing, and what it did
  // not get then is `fill`. T: double, int32_t, int64_t.
  template <class T>
  void append(const std::string& path, std::size_t before, std::span<const T> values, T fill);
  void make_real(const std::string& path);  // a growing column of integers
  void write_texts(const std::string& path, std::span<const std::string> values);
  void write_text(const std::string& path, const std::string& value);  // a scalar
  void write_number(const std::string& path, double value);            // a scalar
  void hard_link(const std::string& existing, const std::string& path);
  void external_link(const std::string& file, const std::string& object, const std::string& path);
  void copy_from(const Hdf5File& other, const std::string& object, const std::string& path);

  void set(const std::string& path, const std::string& name, const std::string& value);
  void set(const std::string& path, const std::string& name, const char* value);
  void set(const std::string& path, const std::string& name, std::int64_t value);
  void set(const std::string& path, const std::string& name, std::int32_t value);
  void set(const std::string& path, const std::string& name, double value);
  // As h5py stores a bool: an enumeration FALSE, TRUE. (A bool argument of set would catch pointers.)
  void set_flag(const std::string& path, const std::string& name, bool value);
  void set(const std::string& path, const std::string& name, const std::vector<std::int64_t>& values);
  void set(const std::string& path, const std::string& name, const std::vector<float>& values);
  void set(const std::string& path, const std::string& name, const std::vector<std::string>& values);

  // Reading; what is missing or of another type is Error{Input} naming file and object.
  enum class Type { Group, Real, Integer, Text, Other };
  bool has(const std::string& path) const;
  bool has(const std::string& path, const std::string& attribute) const;
  std::vector<std::string> children(const std::string& group) const;  // sorted by name
  Type type(const std::string& path) const;
  template <class T>
  std::vector<T> read(const std::string& path) const;  // numbers are converted to T
  std::vector<std::string> read_texts(const std::string& path) const;
  std::string read_text(const std::string& path) const;
  double read_number(const std::string& path) const;
  // As read<double>, in parts that memory has room for.
  void read_parts(const std::string& path, const std::function<void(std::span<const double>)>& take) const;
  std::string text(const std::string& path, const std::string& attribute) const;
  std::int64_t integer(const std::string& path, const std::string& attribute) const;
  double real(const std::string& path, const std::string& attribute) const;
  std::vector<std::int64_t> integers(const std::string& path, const std::string& attribute) const;
  std::vector<float> floats(const std::string& path, const std::string& attribute) const;
  std::vector<std::string> texts(const std::string& path, const std::string& attribute) const;

  std::int64_t stored_bytes(const std::string& path) const;  // of a data set on disk, after filters

  // SHA-256 over every object below "/" and its attributes, in order of names, without those `skip` names.
  std::string digest(const std::function<bool(const std::string& path)>& skip) const;

  [[noreturn]] void damaged(const std::string& path, const std::string& what) const;
  const std::string& label() const { return label_; }

 private:
  using Links = std::map<std::string, bool>;  // of a group, by name; true: to an object of this file

  Hdf5File(std::int64_t id, std::string label, std::unique_lock<std::recursive_mutex> lock);
  static Hdf5File of_disk(std::int64_t id, const std::string& path, std::unique_lock<std::recursive_mutex> lock);
  const Links& links(const std::string& group) const;
  // An object that is open: most are asked several things in a row, so the last one stays open.
  struct Object {
    std::string path;
    std::int64_t id = -1;
    Type type = Type::Other;
    std::size_t item_size = 0;  // of a data set, on disk
  };
  const Object& object(const std::string& path) const;
  void check_storage(std::int64_t dataset, const std::string& path) const;
  void check_below(const std::string& path) const;
  std::size_t claim(const Object& dataset, std::size_t item_size) const;
  void changed();
  template <class T>
  void set_numbers(const std::string& path, const std::string& name, std::span<const T> values, bool scalar);
  void add_to(Sha256& sum, const std::string& path, const std::function<bool(const std::string&)>& skip) const;
  template <class T>
  std::vector<T> attribute_numbers(const std::string& path, const std::string& name) const;
  // Of an open attribute; `place` names it in messages.
  template <class T>
  std::vector<T> numbers_of(std::int64_t attribute, const std::string& place) const;
  std::vector<std::string> texts_of(std::int64_t attribute, const std::string& place) const;

  std::unique_lock<std::recursive_mutex> lock_;
  std::int64_t id_ = -1;
  Storage storage_ = Storage::Filters;
  bool on_disk_ = false;
  std::string label_;
  mutable std::map<std::string, Links> listed_;
  mutable Object object_;
  mutable std::size_t left_ = kLargestSum;  // bytes that may still be read
};

// Bytes that an array of `item_size`-byte values takes on disk after the filters of this format.
std::int64_t filtered_size(std::span<const std::byte> values, std::size_t item_size);
// The same for a tensor, whose chunks are blocks: those at its edges are padded.
std::int64_t filtered_size(std::span<const float> values, const std::vector<std::int64_t>& extents);

}  // namespace winnow
