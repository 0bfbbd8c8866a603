#include "cotenant/vulkan/kernels/element_bits.hpp"

#include "../emitted.hpp"
#include "../../error_text.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("ElementBits: valid code for every size") {
  const Capabilities device = test::usual_device();
  for (const std::uint32_t bytes : {1u, 2u, 4u, 8u}) {
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

TEST_CASE("ElementBits: what the device cannot access is a typed error") {
  Capabilities device = test::usual_device();
  device.storage_16bit = false;
  KernelBuilder k({device});
  CHECK(test::has(test::message([&] { ElementBits(k, 2); }), "unsupported"));
}
