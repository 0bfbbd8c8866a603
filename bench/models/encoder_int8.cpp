// The encoder that computes in int8.
#include "bench/models/encoder.hpp"

std::unique_ptr<bench::AnyEncoder> bench::open_int8(const std::filesystem::path& folder) {
  return std::make_unique<EncoderIn<cotenant::precision::Int8>>(folder);
}
