#include "cotenant/vulkan/kernels/copy.hpp"

#include <numeric>

#include "../test_device.hpp"

using namespace cotenant;

namespace {
// copy_bits between layouts of one shape, compared with the host's loops.
template <class T> void check_copy(const Vulkan& gpu, const Layout& to, const Layout& from_layout) {
  const auto elements = [](const Layout& layout) { const ElementRange range = element_range(layout); return static_cast<std::size_t>(range.last); };
  std::vector<T> source(elements(from_layout)), expected(elements(to), T(1));
  for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<T>(i * 2654435761u >> 7);
  auto in = empty<T>({source.size()}, gpu), out = empty<T>({expected.size()}, gpu);
  const auto put = [&](auto& tensor, const std::vector<T>& values) {
    const auto host = from(values, {values.size()});
    vulkan::upload(*gpu.shared_stream(), host.view(), tensor.block().get(), tensor.block()->data());
  };
  put(in, source), put(out, expected);
  const auto operand = [](const auto& tensor, const Layout& layout) {
    return vulkan::MapOperand{tensor.block().get(), static_cast<const T*>(tensor.block()->data()) + layout.offset, &layout.strides, sizeof(T)};
  };
  vulkan::kernels::copy_bits(gpu.device(), *gpu.shared_stream(), to.shape, operand(out, to), operand(in, from_layout));
  auto host = empty<T>({expected.size()});
  vulkan::download(*gpu.shared_stream(), out.block().get(), out.block()->data(), host.mutable_view(), host.block().get());
  for (std::size_t i = 0; i < element_count(to.shape); ++i) {
    std::ptrdiff_t a = to.offset, b = from_layout.offset;
    std::size_t position = i;
    for (std::size_t axis = to.shape.rank(); axis-- > 0;) {
      const auto index = static_cast<std::ptrdiff_t>(position % to.shape[axis]);
      position /= to.shape[axis];
      a += index * to.strides[axis], b += index * from_layout.strides[axis];
    }
    expected[static_cast<std::size_t>(a)] = source[static_cast<std::size_t>(b)];
  }
  const auto got = host.view().span();
  CHECK(std::equal(got.begin(), got.end(), expected.begin()));
}
template <class T> void check_copies(const Vulkan& gpu) {
  const auto dense = [](const Shape& shape) { return contiguous_layout(shape); };
  check_copy<T>(gpu, dense({5000}), dense({5000}));
  check_copy<T>(gpu, dense({48, 64}), {{48, 64}, {0, 1}, 0});          // one row over and over
  check_copy<T>(gpu, dense({64, 48}), {{64, 48}, {1, 0}, 0});          // one column
  check_copy<T>(gpu, dense({70}), {{70}, {0}, 3});                     // one element
  check_copy<T>(gpu, dense({100, 70}), {{100, 70}, {1, 100}, 0});      // transposed
  check_copy<T>(gpu, dense({3, 40, 33}), {{3, 40, 33}, {1320, 1, 40}, 0});
  check_copy<T>(gpu, {{40, 33}, {40, 1}, 0}, {{40, 33}, {-1, 40}, 39});  // reversed columns into padded rows
  check_copy<T>(gpu, {{9, 11}, {33, 3}, 1}, {{9, 11}, {-11, -1}, 98});   // nothing side by side
  check_copy<T>(gpu, dense({2, 3, 2, 3, 2, 3, 9, 10}), {{2, 3, 2, 3, 2, 3, 9, 10}, {1, 2, 6, 12, 36, 72, 216, 1944}, 0});
}
}  // namespace

TEST_CASE("copies between any two layouts") {
  for (const bool descriptors : {false, true}) {
    const test::Checked gpu(test::checked_options(descriptors));
    check_copies<std::uint8_t>(*gpu), check_copies<std::int32_t>(*gpu), check_copies<std::int64_t>(*gpu);
    if (!descriptors) check_copies<std::int8_t>(*gpu), check_copies<float>(*gpu);
  }
}
