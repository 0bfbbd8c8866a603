// The encoder that computes in f32.
#include "bench/models/encoder.hpp"

std::unique_ptr<bench::AnyEncoder> bench::open_f32(const std::filesystem::path& folder) {
  return std::make_unique<EncoderIn<cotenant::precision::Stored>>(folder);
}
