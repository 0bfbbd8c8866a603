#include "cotenant/vulkan/kernels/product_strip.hpp"

#include "../test_device.hpp"
#include "cotenant/vulkan/kernels/matmul.hpp"
#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("strips leave through the epilogue, whatever was asked for before and however threads share them") {
  const test::Checked gpu;
  Stream& stream = *gpu->shared_stream();
  const std::size_t rows = 21;
  const std::uint32_t strip_rows = 16;
  for (const std::size_t columns : {44u, 43u})
    for (const std::uint32_t width : {16u, 48u})
      for (const bool asks : {false, true}) {
        std::vector<float> of_row(rows), of_column(columns), all(rows * columns);
        for (std::size_t i = 0; i < rows; ++i) of_row[i] = static_cast<float>(i) * 3;
        for (std::size_t j = 0; j < columns; ++j) of_column[j] = static_cast<float>(j) * 5;
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<float>(i % 11);
        const auto r = test::to_device(*gpu, of_row), c = test::to_device(*gpu, of_column), a = test::to_device(*gpu, all);
        const auto out = empty<float>({rows, columns}, *gpu);
        const Shape shape{rows, columns};
        const std::array<AnyOperand, 3> extra{input(r).with({shape, {1, 0}, 0}), input(c).with({shape, {0, 1}, 0}), input(a).with(contiguous_layout(shape))};
        MatrixProduct product = matrix_product(1, input(r).with({{rows, 1}, {1, 1}, 0}), input(c).with({{1, columns}, {1, 1}, 0}), output(out), extra);
        ProductCode code;
        code.epilogue_text = "sum of all";
        code.epilogue = [](ProductFrame&) -> Epilogue {
          return [](const std::vector<Value>& v) { return v[0] + v[1] + v[2] + v[3]; };
        };
        ProductPlan plan;
        choose_fetches(plan, product, code);
        CHECK(code.vector_out == (columns % 4 == 0));
        const std::size_t tiles = (rows + strip_rows - 1) / strip_rows * ((columns + width - 1) / width);
        const auto buffers = vulkan::detail::buffer_arguments(product);
        const auto scalars = product_scalars(product, code, 1);
        const KernelKey key("strip ", width, columns % 4 == 0 ? " fours" : " ones", asks ? " asked" : "");
        gpu->device().launch(stream, {key, buffers, scalars, folded_groups(tiles)}, [&](const Target& target) {
          KernelBuilder k(target, {.workgroup = 32});
          ProductFrame frame(k, code);
          frame.for_tile(strip_rows, width, [&] {
            const StripWriter writer(frame, frame.column0, width, k.local_index(), 32);
            const StripWriter::Asked asked = asks ? writer.ask(frame.row0, strip_rows) : StripWriter::Asked{};
            // The sum in row i and column j is 1000 i + j.
            writer.store(frame.row0, strip_rows, [&](Value row, Value c4) {
              std::vector<Value> four;
              for (std::uint32_t e = 0; e < 4; ++e)
                four.push_back(spirv::convert(k.f32(), (frame.row0 + row) * 1000u + frame.column0 + c4 * 4u + e));
              return spirv::make_vector(four);
            }, asked);
          });
          return k.finish();
        });
        const auto host = test::to_host(out);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < rows; ++i)
          for (std::size_t j = 0; j < columns; ++j)
            wrong += host[i * columns + j] != static_cast<float>(1000 * i + j) + of_row[i] + of_column[j] + all[i * columns + j];
        CHECK(wrong == 0);
      }
}

}  // namespace
