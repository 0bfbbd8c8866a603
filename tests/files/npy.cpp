#include "cotenant/files/npy.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "../error_text.hpp"
#include "ramp.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;
using test::has, test::message, test::ramp;

namespace {
const std::string npy_files = COTENANT_TEST_DATA "/npy/";

// Element i in row-major order is first + i.
template <class T> void check_npy_ramp(const NpyFile& file, const Shape& shape, int first) {
  const auto tensor = file.tensor<T>();
  CHECK(tensor.shape() == shape);
  CHECK_FALSE(file.copied());
  const auto span = tensor.view().span();
  for (std::size_t i = 0; i < span.size(); ++i) CHECK(static_cast<float>(span[i]) == static_cast<float>(static_cast<int>(i) + first));
}
std::string bytes_of(const std::string& dictionary, const std::string& data) {
  std::string bytes = "\x93NUMPY";
  bytes += '\1';
  bytes += '\0';
  bytes += static_cast<char>(dictionary.size());
  bytes += '\0';
  return bytes + dictionary + data;
}
}  // namespace

TEST_CASE("npy: files made by NumPy") {
  check_npy_ramp<float>(NpyFile::open(npy_files + "f4.npy"), {3, 4}, -3);
  check_npy_ramp<float>(NpyFile::open(npy_files + "version2.npy"), {3, 4}, -3);
  check_npy_ramp<float>(NpyFile::open(npy_files + "version3.npy"), {3, 4}, -3);
  check_npy_ramp<f16>(NpyFile::open(npy_files + "f2.npy"), {2, 1, 3}, -3);
  check_npy_ramp<bf16>(NpyFile::open(npy_files + "v2.npy"), {5}, -3);
  check_npy_ramp<std::int8_t>(NpyFile::open(npy_files + "i1.npy"), {7}, -3);
  check_npy_ramp<std::uint8_t>(NpyFile::open(npy_files + "u1.npy"), {3}, 0);
  check_npy_ramp<std::int32_t>(NpyFile::open(npy_files + "i4.npy"), {2, 2}, -3);
  check_npy_ramp<std::int64_t>(NpyFile::open(npy_files + "i8.npy"), {2}, -3);
  const auto flags = NpyFile::open(npy_files + "b1.npy").tensor<bool>();
  for (std::size_t i = 0; i < 9; ++i) CHECK(flags.view()(i / 3, i % 3) == (i % 2 == 1));
  CHECK(NpyFile::open(npy_files + "scalar.npy").tensor<float>().view()() == 2.5f);
  CHECK(NpyFile::open(npy_files + "empty.npy").tensor<float>().shape() == Shape{0, 4});
}

TEST_CASE("npy: Fortran order is strides, not a copy, and the view outlives the file object") {
  SharedTensor<float, Mapped> tensor = NpyFile::open(npy_files + "f4_fortran.npy").tensor<float>();
  CHECK(tensor.shape() == Shape{2, 3, 4});
  CHECK(tensor.strides() == Strides{1, 2, 6});
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 4; ++k) CHECK(tensor.view()(i, j, k) == static_cast<float>(12 * i + 4 * j + k) - 3);
  CHECK(tensor.block()->bytes() == std::filesystem::file_size(npy_files + "f4_fortran.npy"));
  CHECK(tensor.use_count() == 1);
}

TEST_CASE("npy: what cotenant has no tensor for") {
  for (const char* name : {"f4_big", "f8", "u2", "c8"}) {
    const auto file = NpyFile::open(npy_files + name + ".npy");
    CHECK(file.shape() == Shape{3});
    CHECK(has(message([&] { file.tensor<float>(); }), "unsupported"));
    CHECK(has(message([&] { file.tensor<float>(); }), file.header().descr));
  }
  CHECK(has(message([&] { NpyFile::open(npy_files + "records.npy"); }), "unsupported"));
  CHECK(has(message([&] { NpyFile::open(npy_files + "rank9.npy"); }), "unsupported"));
  CHECK(has(message([&] { NpyFile::open(npy_files + "f4.npy").tensor<f16>(); }), "ask for f32"));
  CHECK(has(message([&] { NpyFile::open(npy_files + "v2.npy").tensor<f16>(); }), "ask for bf16"));
  CHECK_THROWS_AS(NpyFile::open(npy_files + "absent.npy"), NotFound);
  CHECK_THROWS_AS(NpyFile::open(npy_files), IoError);
}

TEST_CASE("npy: lengths, overflows, alignment, bools") {
  const TemporaryFolder temporary;
  const auto open = [&](const std::string& descr, const std::string& shape, const std::string& data, const char* order = "False") {
    return NpyFile::open(temporary.write("x.npy", bytes_of("{'descr':'" + descr + "','fortran_order':" + order + ",'shape':" + shape + "}", data)));
  };
  CHECK(has(message([&] { open("<f4", "(3,)", "12345678901"); }), "truncated"));
  CHECK(open("|u1", "(3,)", "abcdef").tensor<std::uint8_t>().view()(2) == 'c');  // the next array of the file may follow
  CHECK(has(message([&] { open("<f4", "(4611686018427387904,)", ""); }), "overflows"));
  CHECK(has(message([&] { open("<f4", "(4294967296,4294967296,4)", "", "True"); }), "overflows"));
  CHECK(has(message([&] { open("<f4", "(0,4294967296,4294967296)", "", "True"); }), "overflows"));
  CHECK(open("<f4", "(0,4294967296)", "", "True").tensor<float>().size() == 0);
  CHECK(has(message([&] { open("<f8", "(4294967296,4294967296)", "").tensor<float>(); }), "bad_file"));
  CHECK(has(message([&] { open("|b1", "(2,)", "\1\2").tensor<bool>(); }), "neither 0 nor 1"));
  const std::string values("\0\0\x80\x3f\0\0\0\x40", 8);  // 1.0f, 2.0f
  int copies = 0;
  for (const char* blanks : {"(2,)", "(2, )", "(2,  )", "(2,   )"}) {
    const auto file = open("<f4", blanks, values);
    copies += file.copied();
    const auto tensor = file.tensor<float>();
    CHECK(reinterpret_cast<std::uintptr_t>(tensor.view().data()) % 4 == 0);
    CHECK(tensor.view()(1) == 2.0f);
  }
  CHECK(copies == 3);
}

TEST_CASE("npy: what is written is read back, in the order it lies in") {
  const TemporaryFolder temporary;
  const auto back = [&]<class T, class S>(const char* name, const SharedTensor<T, S>& tensor) {
    const auto path = temporary / (std::string(name) + ".npy");
    write_npy(path, tensor);
    // For a look by NumPy: tests/data/make_npy.py --read.
    if (const char* keep = std::getenv("COTENANT_KEEP_FILES"))
      std::filesystem::copy(path, std::filesystem::path(keep) / path.filename(), std::filesystem::copy_options::overwrite_existing);
    return NpyFile::open(path);
  };
  check_npy_ramp<float>(back("f4", ramp<float>({3, 4}, -3)), {3, 4}, -3);
  check_npy_ramp<f16>(back("f2", ramp<f16>({2, 1, 3}, -3)), {2, 1, 3}, -3);
  check_npy_ramp<bf16>(back("v2", ramp<bf16>({5}, -3)), {5}, -3);
  check_npy_ramp<std::int8_t>(back("i1", ramp<std::int8_t>({7}, -3)), {7}, -3);
  check_npy_ramp<std::uint8_t>(back("u1", ramp<std::uint8_t>({3}, 0)), {3}, 0);
  check_npy_ramp<std::int32_t>(back("i4", ramp<std::int32_t>({2, 2}, -3)), {2, 2}, -3);
  check_npy_ramp<std::int64_t>(back("i8", ramp<std::int64_t>({2}, -3)), {2}, -3);
  auto flags = empty<bool>({3, 3});
  for (std::size_t i = 0; i < 9; ++i) flags.mutable_view().span()[i] = i % 2 == 1;
  CHECK(back("b1", flags).tensor<bool>().view()(2, 1));
  CHECK(back("scalar", from({2.5f}, {})).tensor<float>().view()() == 2.5f);
  CHECK(back("empty", empty<float>({0, 4})).shape() == Shape{0, 4});
  // The mapped file itself, columns first, is written as it lies.
  const auto fortran = NpyFile::open(npy_files + "f4_fortran.npy").tensor<float>();
  const auto again = back("f4_fortran", fortran);
  CHECK(again.header().fortran_order);
  CHECK(again.tensor<float>().view()(1, 2, 3) == 20.0f);
  write_npy(temporary / "strided.npy", ramp<float>({4, 6}, -3).slice(1, 5, -1, -2));
  const auto strided = NpyFile::open(temporary / "strided.npy");
  CHECK_FALSE(strided.header().fortran_order);
  CHECK(strided.tensor<float>().view()(1, 0) == 8.0f);
  CHECK_THROWS_AS(write_npy(temporary / "none.npy", SharedTensor<float>{}), InvalidArgument);
  CHECK_THROWS_AS(write_npy(temporary / "absent/none.npy", ramp<float>({1}, -3)), IoError);
}
