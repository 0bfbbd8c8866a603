// The encoder that computes in bf16.
#include "bench/models/encoder.hpp"

std::unique_ptr<bench::AnyEncoder> bench::open_bf16(const std::filesystem::path& folder) {
  return std::make_unique<EncoderIn<cotenant::precision::BFloat16>>(folder);
}
