#include "cotenant/vulkan/element_buffer.hpp"

#include "emitted.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;
using namespace cotenant::vulkan::spirv;

TEST_CASE("ElementBuffer: elements are accessed as they are where the device can, else by words, which are changed bit by bit") {
  for (const bool descriptors : {false, true})
    for (const bool words_only : {false, true})
      for (const std::uint32_t bytes : {1u, 2u, 4u}) {
        CAPTURE(bytes);
        Capabilities device = test::usual_device();
        device.storage_8bit = device.storage_16bit = !words_only;
        KernelBuilder k({device, descriptors ? Addressing::descriptors : Addressing::pointers});
        const ElementBuffer x(k, bytes), y(k, bytes);
        const Value i = k.local_index();
        y.store(i, x.load(i));
        y.store(spirv::convert(k.u64(), i), x.load(spirv::convert(k.u64(), i)));
        const auto words = k.finish();
        test::check_valid(words);
        const bool by_words = words_only && bytes < 4;
        CHECK(accesses_single(device, bytes) != by_words);
        CHECK(test::count_of(words, Op::AtomicAnd) == (by_words ? 2 : 0));
        CHECK(test::count_of(words, Op::AtomicOr) == (by_words ? 2 : 0));
        CHECK(test::count_of(words, Op::Store) == (by_words ? 0 : 2));
        CHECK(x.element()->bytes == (by_words ? 4 : bytes));
      }
}
