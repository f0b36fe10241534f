// For tests: a device stream over the host's memory, which counts what is copied. Kernels run there as on the CPU, unless it is
// to be another device, for which none run.
#pragma once

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "kernels/device.h"

namespace winnow::test {

class HostStream final : public DeviceStream {
 public:
  explicit HostStream(Device device = Device::Cpu) : device_(device) {}
  int uploads = 0, downloads = 0;

  Device device() const override { return device_; }
  int ordinal() const override { return 0; }
  std::size_t free_bytes() const override { return std::size_t{1} << 40; }
  DeviceIdentity identity() const override { return {"memory of the host", "host"}; }
  void* queue() const override { return nullptr; }
  std::byte* allocate(std::size_t bytes) override { return static_cast<std::byte*>(std::malloc(bytes + 1)); }
  void release(std::byte* memory) noexcept override { std::free(memory); }
  void upload(void* to, const void* from, std::size_t bytes) override {
    ++uploads;
    copy(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    ++downloads;
    copy(to, from, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void zero(void* to, std::size_t bytes) override { std::memset(to, 0, bytes); }
  void wait() override {}
  void be_patient(Patience) override {}
  std::shared_ptr<DeviceStream> beside() override { return std::make_shared<HostStream>(); }
  void after(DeviceStream&) override {}
  std::unique_ptr<Recording> record(const std::function<void()>&) override {
    throw std::logic_error("nothing is recorded on the host's memory");
  }

 private:
  Device device_;
};

}  // namespace winnow::test
