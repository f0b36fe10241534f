#include "kernels/gpu_libraries.h"

#include <dlfcn.h>
#include <winnow_sources.h>

#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "kernels/cuda/vendor/libraries.h"

namespace winnow::cuda {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModule = "libwinnow_cuda.so";

// As it was built, or as `cmake --install` puts it.
fs::path module_beside(const fs::path& program) {
  const fs::path folder = program.parent_path(), beside = folder / kModule;
  const fs::path installed = (folder / WINNOW_MODULE_FOLDER / kModule).lexically_normal();
  std::error_code unknown;
  if (fs::exists(beside, unknown)) return beside;
  if (fs::exists(installed, unknown)) return installed;
  throw std::runtime_error("there is neither " + beside.string() + " nor " + installed.string());
}

// The module uses kernels of this program, which exports them (ENABLE_EXPORTS).
const Libraries& load() {
  const fs::path module = module_beside(fs::read_symlink("/proc/self/exe"));
  void* const loaded = dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) throw std::runtime_error(dlerror());
  const auto* sources = static_cast<const char*>(dlsym(loaded, "winnow_cuda_sources"));
  if (sources == nullptr || std::strcmp(sources, WINNOW_KERNEL_SOURCES) != 0) {
    throw std::runtime_error(module.string() + " is of another build than this program (" +
                             (sources == nullptr ? "an older one" : sources) + ", not " + WINNOW_KERNEL_SOURCES + ")");
  }
  const auto entry = reinterpret_cast<decltype(&winnow_cuda_libraries)>(dlsym(loaded, "winnow_cuda_libraries"));
  if (entry == nullptr) throw std::runtime_error(dlerror());
  return *entry();
}

}  // namespace

const Libraries& libraries() {
  if (winnow_cuda_libraries != nullptr) return *winnow_cuda_libraries();
  static const Libraries& loaded = load();  // tried again where it failed
  return loaded;
}

}  // namespace winnow::cuda
