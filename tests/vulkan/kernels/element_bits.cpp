#include "cotenant/vulkan/kernels/element_bits.hpp"

#include "../emitted.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("ElementBits: valid code for every size, on devices that access words only, too") {
  const Capabilities usual = test::usual_device();
  Capabilities words_only = usual;
  words_only.storage_8bit = words_only.storage_16bit = words_only.shader_int64 = false;
  for (const std::uint32_t place : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}) {
    const std::uint32_t bytes = 1u << place / 2;
    const Capabilities& device = place % 2 == 0 ? usual : words_only;
    KernelBuilder k({device});
    const ElementBits x(k, bytes), y(k, bytes);
    const Value i = k.local_index();
    y.store(i, x.load(i));
    const std::uint32_t groups = bytes == 1 ? 4 : bytes == 2 ? 2 : 1;
    y.store_vectors(i, x.load_vectors(i, groups));
    y.store_vectors(i, x.load_repeated(i, groups));
    test::check_valid(k.finish());
  }
}
