#include "kernels/cuda/vendor/plan_files.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <string_view>

namespace winnow::cuda::vendor {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "winnow-cudnn-plan 1\n";

// FNV-1a: against damage, not against malice.
std::string checksum(std::span<const std::uint8_t> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

std::span<const std::uint8_t> bytes_of_text(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// What stands before the bytes of the plan.
std::string head(const std::string& what, std::span<const std::uint8_t> plan) {
  return std::string(kFormat) + what + "\n" + std::to_string(plan.size()) + " " + checksum(plan) + "\n";
}

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Whole and on disk.
bool written(const fs::path& path, const std::string& before, std::span<const std::uint8_t> plan) {
  std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "wb"));
  const auto put = [&](const void* data, std::size_t bytes) {
    return std::fwrite(data, 1, bytes, file.get()) == bytes;
  };
  return file && put(before.data(), before.size()) && put(plan.data(), plan.size()) && std::fflush(file.get()) == 0 &&
         ::fsync(::fileno(file.get())) == 0;
}

}  // namespace

const PlanFiles* PlanFiles::of_environment() {
  static const std::unique_ptr<const PlanFiles> files = [] {
    const char* folder = std::getenv("WINNOW_CUDNN_PLANS");
    return folder != nullptr && *folder != '\0' ? std::make_unique<const PlanFiles>(folder) : nullptr;
  }();
  return files.get();
}

fs::path PlanFiles::path_of(const std::string& what) const {
  return folder_ / (checksum(bytes_of_text(what)) + ".plan");
}

std::optional<std::vector<std::uint8_t>> PlanFiles::read(const std::string& what) const {
  std::ifstream file(path_of(what), std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  // The head is known but for the plan's size and checksum, which follow from what is behind it.
  std::size_t at = kFormat.size() + what.size() + 1;
  at = at < all.size() ? all.find('\n', at) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  const auto plan = bytes_of_text(all).subspan(at + 1);
  if (plan.empty() || all.compare(0, at + 1, head(what, plan)) != 0) return std::nullopt;
  return std::vector<std::uint8_t>(plan.begin(), plan.end());
}

void PlanFiles::write(const std::string& what, std::span<const std::uint8_t> plan) const noexcept {
  static std::atomic<unsigned> count{0};
  try {
    std::error_code ignored;
    fs::create_directories(folder_, ignored);
    const fs::path path = path_of(what);
    const fs::path part =
        path.string() + "." + std::to_string(::getpid()) + "." + std::to_string(count.fetch_add(1)) + ".part";
    if (written(part, head(what, plan), plan)) fs::rename(part, path, ignored);
    fs::remove(part, ignored);  // where it is still there
  } catch (const std::exception&) {
    // No memory for a path: then there is no file.
  }
}

}  // namespace winnow::cuda::vendor
