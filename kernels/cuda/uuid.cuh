// The UUID of a GPU as text, which is the same in whatever process and under whatever number. Pure.
#pragma once

#include <cuda_runtime.h>

#include <string>

namespace winnow::cuda {

// As nvidia-smi writes it.
inline std::string uuid_text(const cudaUUID_t& uuid) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = static_cast<unsigned char>(uuid.bytes[i]);
    text += kDigits[byte / 16];
    text += kDigits[byte % 16];
  }
  return text;
}

}  // namespace winnow::cuda
