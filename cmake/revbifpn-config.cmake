# revbifpn::revbifpn, the shared library; revbifpn::static, which brings what it needs with it.
include(CMakeFindDependencyMacro)
include(${CMAKE_CURRENT_LIST_DIR}/revbifpn-targets.cmake)
if(NOT TARGET revbifpn::static)
  get_target_property(revbifpn_shared_file revbifpn::revbifpn LOCATION)
  get_filename_component(revbifpn_folder ${revbifpn_shared_file} DIRECTORY)
  find_dependency(Threads)
  find_dependency(PkgConfig)
  pkg_check_modules(REVBIFPN_NEEDS QUIET IMPORTED_TARGET libjpeg libpng libwebp libwebpdemux jansson libxxhash @REVBIFPN_TIFF_MODULE@ @REVBIFPN_EXPAT_MODULE@ @REVBIFPN_YAML_MODULE@)
  if(TARGET PkgConfig::REVBIFPN_NEEDS AND EXISTS ${revbifpn_folder}/librevbifpn.a)
    add_library(revbifpn::static STATIC IMPORTED)
    get_target_property(revbifpn_include revbifpn::revbifpn INTERFACE_INCLUDE_DIRECTORIES)
    set_target_properties(revbifpn::static PROPERTIES IMPORTED_LOCATION ${revbifpn_folder}/librevbifpn.a
      INTERFACE_INCLUDE_DIRECTORIES "${revbifpn_include}"
      INTERFACE_LINK_LIBRARIES "PkgConfig::REVBIFPN_NEEDS;gif;m;Threads::Threads")
  endif()
endif()
