# `cmake --install build/release --prefix PREFIX`: the program, its manual page and completions, the reader of result files,
# plots, documents, examples and profiles for Slurm.
install(TARGETS winnow RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(PROGRAMS tools/winnow.py tools/plot.py DESTINATION "${CMAKE_INSTALL_DATADIR}/winnow")
install(DIRECTORY examples slurm DESTINATION "${CMAKE_INSTALL_DATADIR}/winnow")
install(DIRECTORY docs DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES README.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")

# Written by the program itself, from the tables that its command line is parsed by.
function(winnow_page file folder)
  set(page "${CMAKE_CURRENT_BINARY_DIR}/pages/${file}")
  list(JOIN ARGN " " verb)
  install(CODE "
    file(MAKE_DIRECTORY \"${CMAKE_CURRENT_BINARY_DIR}/pages\")
    execute_process(COMMAND \"$<TARGET_FILE:winnow>\" ${verb} OUTPUT_FILE \"${page}\" COMMAND_ERROR_IS_FATAL ANY)")
  install(FILES "${page}" DESTINATION "${folder}")
endfunction()
winnow_page(winnow.1 "${CMAKE_INSTALL_MANDIR}/man1" man)
winnow_page(winnow "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" completion bash)
winnow_page(_winnow "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" completion zsh)
