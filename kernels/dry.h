// The dry device: what CUDA would do, written down and not done. Programs, layers and ops take the same way there as on a
// GPU, with addresses that nobody follows, so launches and passes over memory are those of the real code. Needs no CUDA.
//
// Exec::stream points to a Log. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/device.h"
#include "kernels/exec.h"
#include "kernels/functors/fold.h"
#include "kernels/loops.h"

namespace winnow::dry {

// A word of a kernel's arguments, which may be an address, and the most bytes that are touched there.
struct Word {
  std::uintptr_t at;
  std::size_t most;
};
inline constexpr std::size_t kAll = ~std::size_t{0};

// One kernel, or one call of a library.
struct Launch {
  std::vector<Word> words;
  std::uintptr_t overwritten = 0;  // a word of which the memory is written without having been read; 0: none is known
  bool is_call = false;
  std::size_t scratch_read = 0, scratch_written = 0;  // bytes of temporary memory
};

class Log {
 public:
  void add(Launch launch) { launches_.push_back(std::move(launch)); }
  std::vector<Launch> take() { return std::exchange(launches_, {}); }  // what was queued since the last call

 private:
  std::vector<Launch> launches_;
};

// Memory of a GPU that has as much as anyone asks for: addresses without anything behind them. Downloads are zeros.
class Stream final : public DeviceStream {
 public:
  Device device() const override { return Device::Dry; }
  DeviceIdentity identity() const override { return {"no device", "dry"}; }
  int ordinal() const override { return 0; }
  std::size_t free_bytes() const override { return kAll; }
  void* queue() const override { return log_.get(); }

  std::byte* allocate(std::size_t bytes) override;
  void release(std::byte*) noexcept override {}
  void upload(void*, const void*, std::size_t) override {}
  void download(void* to, const void*, std::size_t bytes) override;
  void copy(void*, const void*, std::size_t) override {}
  void zero(void*, std::size_t) override {}
  void wait() override {}
  void be_patient(Patience) override {}
  // These throw: what another queue or a recording takes would be lost.
  std::shared_ptr<DeviceStream> beside() override;
  void after(DeviceStream& other) override;
  std::unique_ptr<Recording> record(const std::function<void()>&) override;

 private:
  std::unique_ptr<Log> log_ = std::make_unique<Log>();
  std::uintptr_t next_ = std::uintptr_t{1} << 44;
};

struct Argument {
  std::vector<std::byte> bytes;
  std::size_t most = kAll;
};
// A kernel of ours with these arguments.
void note_kernel(const Exec& exec, std::initializer_list<Argument> arguments, std::size_t scratch_read = 0,
                 std::size_t scratch_written = 0, const void* overwritten = nullptr);
// A call of a library with these operands.
void note_call(const Exec& exec, std::initializer_list<const void*> operands, std::size_t scratch_read = 0,
               std::size_t scratch_written = 0);

// What lies between the members of a value was left by others, perhaps an address: it counts as zeros, where the compiler
// has the means.
template <class T>
Argument arguments(std::span<const T> values, std::size_t most = kAll) {
  static_assert(std::is_trivially_copyable_v<T>);
  Argument made{.bytes = std::vector<std::byte>(values.size_bytes()), .most = most};
  for (std::size_t i = 0; i < values.size(); ++i) {
    alignas(T) std::byte copy[sizeof(T)];
    T* value = new (copy) T(values[i]);
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(value);
#endif
    std::memcpy(made.bytes.data() + i * sizeof(T), value, sizeof(T));
  }
  return made;
}

template <class T>
Argument argument(const T& value, std::size_t most = kAll) {
  return arguments(std::span<const T>(&value, 1), most);
}

// Of what stores the result of a row: it looks at little else.
template <class Store>
Argument stored_by(const Store& store, std::int64_t rows) {
  return argument(store, 16 * static_cast<std::size_t>(rows));
}

// A functor may say with overwritten() which memory it writes and does not read: it may be that of an input.
template <class Body>
void note_loop(const Exec& exec, std::int64_t n, const Body& body) {
  if (n <= 0) return;
  const void* overwritten = nullptr;
  if constexpr (requires { body.overwritten(); }) overwritten = body.overwritten();
  note_kernel(exec, {argument(body)}, 0, 0, overwritten);
}

// As kernels/cuda/for_each.cuh does it.
template <class Body>
void note_loops(const Exec& exec, std::span<const Loop<Body>> loops) {
  in_launches(loops, [&](std::span<const Loop<Body>> part) { note_kernel(exec, {arguments(part)}); });
}

// As kernels/cuda/fold_rows.cuh does it.
template <class T, class Load, class Store>
void note_fold(const Exec& exec, std::int64_t rows, std::int64_t cols, const Load& load, const Store& store) {
  const Argument stores = stored_by(store, rows);
  if (fold_chunks(cols) == 1) return note_kernel(exec, {argument(load), stores});
  const std::size_t partial = sizeof(T) * static_cast<std::size_t>(fold_partials(rows, cols));
  note_kernel(exec, {argument(load)}, 0, partial);
  note_kernel(exec, {stores}, partial, 0);
}

}  // namespace winnow::dry
