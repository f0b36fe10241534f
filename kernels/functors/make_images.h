// Images of a batch from the bytes of a data set: a crop out of a black border, a mirror and the normalisation, element by
// element. The same bits as ImageTransform (experiments/data), which works on whole rows. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/functors/image.h"
#include "kernels/portable.h"

namespace winnow {

// One row of a batch: output (y, x) shows (y + dy, x + dx) of the example, x counted from the right if mirrored.
struct ImageChoice {
  std::int32_t example;  // -1: zeros, where a batch is filled up
  std::int32_t label;
  std::int16_t dy, dx;
  std::int32_t mirror;
};

// Element i of `images` {rows, height, width, channels}; the first of each image writes the label too.
struct MakeImages {
  const std::uint8_t* bytes;   // {examples, height, width, channels}
  const float *scale, *shift;  // by place in a row of an image
  const ImageChoice* rows;
  std::int64_t height, width, channels;
  float* images;
  std::int32_t* labels;
  WINNOW_HD void operator()(std::int64_t i) const {
    const ImagePosition at(i, height, width, channels);
    const ImageChoice& row = rows[at.n];
    if (i == at.n * height * width * channels) labels[at.n] = row.label;
    if (row.example < 0) {
      images[i] = 0.0f;
      return;
    }
    const std::int64_t y = at.row + row.dy, x = (row.mirror != 0 ? width - 1 - at.col : at.col) + row.dx;
    const bool inside = y >= 0 && y < height && x >= 0 && x < width;
    const std::uint8_t byte =
        inside ? bytes[((row.example * height + y) * width + x) * channels + at.channel] : std::uint8_t{0};
    const std::int64_t place = at.col * channels + at.channel;
    images[i] = static_cast<float>(byte) * scale[place] + shift[place];
  }
};

}  // namespace winnow
