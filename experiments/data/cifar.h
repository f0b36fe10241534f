// The binary version of CIFAR-10 and CIFAR-100: records of label bytes and one 3x32x32 image,
// without a header, so a file's size is the only thing that tells a whole file from a short one.
// https://www.cs.toronto.edu/~kriz/cifar.html ; plain functions.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/data/image_data.h"
#include "experiments/data/raw_file.h"

namespace winnow {

struct CifarFile {
  std::string name;
  std::int64_t records;
};

struct CifarLayout {
  std::string folder;            // inside the archive; `root` may be this folder or the one above it
  std::vector<CifarFile> train;  // in order
  CifarFile test;
  std::int64_t coarse_classes;  // told by a label byte in front of the class; 0: there is none
  std::int64_t classes;
};

std::vector<std::filesystem::path> cifar_files(const std::filesystem::path& root, const CifarLayout& layout);

// `files` as cifar_files returns them: those of the training split, then the test file. Error{Input}.
ImageData read_cifar(const std::vector<std::filesystem::path>& files, const CifarLayout& layout, DataReader& reader);

}  // namespace winnow
