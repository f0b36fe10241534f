// Which release of NVIDIA's driver runs this machine's GPUs, "580.65.06"; CUDA itself tells only for which CUDA it is. Pure but for the
// file that is read.
#pragma once

#include <filesystem>
#include <string>

namespace winnow {

// Of the text that the kernel module shows. Empty: there is none, or it is of another form.
std::string driver_release(const std::filesystem::path& module = "/proc/driver/nvidia/version");

}  // namespace winnow
